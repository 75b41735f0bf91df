"""When a recording is replayed and how fast."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from deploy.replaying.plan import (
    DISORDER_S,
    MOST_WINDOWS_A_SECOND,
    ReplayPlan,
    clock_settings,
    make_plan,
    replay_settings,
    usual_window_ms,
)
from simulators.replay import Recording, RecordingError

BEGIN = int(datetime(2013, 12, 2, 21, 15, tzinfo=UTC).timestamp() * 1000)
MINUTE = 60_000


def recording(*times: int, begin: int = BEGIN) -> Recording:
    stamps = np.array(times, np.int64) + begin
    return Recording(Path("press.csv"), ("t",), stamps, np.zeros((stamps.size, 1)))


def every(interval_ms: int, rows: int, begin: int = BEGIN) -> Recording:
    return recording(*(np.arange(rows) * interval_ms), begin=begin)


@pytest.mark.parametrize(
    ("interval_ms", "window_ms"),
    [(5 * MINUTE, 15 * MINUTE), (10_000, 30_000), (1_000, 5_000), (10, 100), (8 * 3_600_000, 24 * 3_600_000)],
)
def test_a_window_usually_holds_three_readings(interval_ms: int, window_ms: int) -> None:
    assert usual_window_ms([every(interval_ms, 50)]) == window_ms


def test_repeated_stamps_and_gaps_do_not_count_as_the_interval() -> None:
    assert usual_window_ms([recording(0, 0, 0, 1_000, 2_000, 2_000, 3_000, 9_000_000)]) == 5_000


def test_of_several_recordings_the_slowest_sets_the_window() -> None:
    assert usual_window_ms([every(1_000, 9), every(5 * MINUTE, 9)]) == 15 * MINUTE


def test_the_span_is_whole_windows_and_holds_every_reading() -> None:
    one = every(5 * MINUTE, 1_000)
    plan = make_plan([one], minutes=1)
    assert plan.start_ms % plan.window_ms == plan.end_ms % plan.window_ms == 0
    assert plan.start_ms <= one.times[0] < plan.start_ms + plan.window_ms
    assert plan.end_ms - plan.window_ms <= one.times[-1] < plan.end_ms
    assert (plan.end_ms - plan.start_ms) / plan.speed / 1000 == pytest.approx(60)


def test_it_is_never_faster_than_can_be_carried() -> None:
    plan = make_plan([every(5 * MINUTE, 90_000)], minutes=0.1)
    assert plan.windows * 1000 / (plan.end_ms - plan.start_ms) * plan.speed == pytest.approx(MOST_WINDOWS_A_SECOND)


def test_many_readings_take_their_time_too() -> None:
    plan = make_plan([every(100, 200_000)], window_ms=60_000, minutes=0.1)
    assert (plan.end_ms - plan.start_ms) / plan.speed / 1000 == pytest.approx(20)


def test_a_short_recording_is_not_slowed_down() -> None:
    plan = make_plan([every(1_000, 20)], minutes=5)
    assert plan.speed == pytest.approx(1)


@pytest.mark.parametrize("window_ms", [100, 900_000])
def test_the_disorder_bound_is_whole_windows_and_long_enough_in_wall_time(window_ms: int) -> None:
    plan = ReplayPlan(0, 1_000 * window_ms, window_ms, speed=27_000 if window_ms > 100 else 1.5)
    assert plan.disorder_ms % window_ms == 0
    assert plan.disorder_ms / plan.speed >= DISORDER_S * 1000


def test_shifted_recordings_are_planned_where_they_are_shifted_to() -> None:
    day = 86_400_000
    plain, moved = (make_plan([every(MINUTE, 500)], shift_ms=shift) for shift in (0, 10 * day))
    assert moved.start_ms - plain.start_ms == 10 * day


def test_before_the_year_2000_it_says_by_how_much_to_move() -> None:
    old = every(MINUTE, 500, begin=int(datetime(1999, 12, 30, 12, tzinfo=UTC).timestamp() * 1000))
    with pytest.raises(RecordingError, match=r"begins 1999-12-30, .* --shift-days 2 or more"):
        make_plan([old])
    assert make_plan([old], shift_ms=2 * 86_400_000).start_ms >= 946_684_800_000


def test_a_single_moment_is_refused() -> None:
    with pytest.raises(RecordingError, match=r"press\.csv: all readings are of one moment"):
        make_plan([recording(0, 0, 0)])
    assert make_plan([recording(0, 0)], window_ms=1_000).windows == 1


def test_too_few_windows_to_believe_are_noted() -> None:
    assert make_plan([every(5 * MINUTE, 3_000)]).notes() == []
    (note,) = make_plan([every(5 * MINUTE, 600)]).notes()
    assert "200 windows of 900 s, and each series learns for 100 in silence" in note


def test_the_settings_are_its_own_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tidemark.toml").write_text('[kafka]\nbootstrap = "real.example.org:9092"\n[topics]\nshards = 32\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDEMARK_MQTT__HOST", "real.example.org")
    plan = make_plan([every(5 * MINUTE, 1_000)])
    settings = replay_settings(plan, tmp_path / "own")
    assert (settings.mqtt.host, settings.kafka.bootstrap, settings.topics.shards) == ("127.0.0.1", "127.0.0.1:19092", 1)
    assert settings.time.window_ms == settings.time.grid_ms == plan.window_ms
    assert settings.bridge.last_heartbeat_ms == plan.end_ms + settings.time.disorder_ms
    assert settings.stack.influx_retention_days == 0
    assert "notifier" not in settings.stack.parts
    clock = clock_settings(plan, 1_000_000).build()
    assert clock.at(1_000_000) == plan.start_ms  # type: ignore[attr-defined]
