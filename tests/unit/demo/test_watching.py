"""What is seen while the demo runs: summaries, alerts, latency, rates, memory, lines."""

import os

import msgspec
import pytest

from connectors.kit.clock import ScaledClock
from connectors.wire.alert import AlertEvent
from deploy.demo.memory import Sampler, pss_kib
from deploy.demo.plan import make_plan
from deploy.demo.progress import Progress, Snapshot, rate
from deploy.demo.view import LiveView, PlainView, alert_words
from deploy.demo.watch import _POSITION, Observations, _Position

PLAN = make_plan(1_790_000_000_000, seed=1)


def alert(transition="raised", event_id="e1", gateway="machine", end_ms=2_000):
    return AlertEvent(
        event_id=event_id, alert_id="a", transition=transition, severity="high", gateway=gateway, device="machine-1",
        quantity="temperature", rule_id="drift", detector="drift", raised_ms=end_ms - 1_000,
        window_start_ms=end_ms - 1_000, window_end_ms=end_ms, value=71.5,
    )  # fmt: skip


@pytest.fixture
def seen():
    observations = Observations(2, 500, Progress())
    observations.clock = ScaledClock(origin_ms=0, started_at_ms=10_000, speed=10.0)
    return observations


def test_the_position_skips_the_columns():
    data = msgspec.msgpack.encode({"shard": 1, "end_ms": 5, "readings": 7, "rule_version": 1, "mean": b"\0" * 800})
    assert _POSITION.decode(data) == _Position(1, 5, 7, 1)


def test_judged_is_what_every_shard_has_judged(seen):
    seen.summary(_Position(0, 1_000, 0, 1), 1.0)
    assert (seen.judged_to_ms, seen.first_judged_ms) == (0, None)
    seen.summary(_Position(1, 2_000, 6, 1), 2.0)
    seen.summary(_Position(1, 1_000, 1, 1), 3.0)
    assert (seen.judged_to_ms, seen.first_judged_ms, seen.judged) == (1_000, 2.0, 7)


def test_latency_is_from_the_earliest_moment_of_judgement(seen):
    seen.alert(alert(end_ms=2_000), wall_ms=10_400.0)
    assert seen.latencies_ms == [150.0]


def test_repeats_and_system_alerts_have_no_latency(seen):
    seen.alert(alert(), 20_000.0)
    seen.alert(alert(), 21_000.0)
    seen.alert(alert(event_id="e2", gateway=""), 22_000.0)
    assert len(seen.latencies_ms) == 1
    assert seen.event_ids == {"e1", "e2"}


def test_progress_counts_alerts_and_active_ones():
    progress = Progress()
    for transition in ("raised", "escalated", "raised", "cleared"):
        progress.alert(alert(transition))
    now, _ = progress.look()
    assert (now.events, now.raised, now.active) == (4, 2, 1)
    assert len(progress.alerts(3)) == 3


def test_a_rate_without_time_is_zero():
    assert rate(Snapshot(1.0, sent=5), Snapshot(1.0), "sent") == 0.0


def test_plain_lines_are_written_now_and_then():
    lines: list[str] = []
    progress = Progress()
    view = PlainView(PLAN, progress, lines.append)
    with view:
        view.say("hello")
        view.tick()
        progress.update(sent=1_000, event_ms=PLAN.start_ms)
        view._next = 0.0
        view.tick()
    assert len(lines) == 2
    assert "hello" in lines[0]
    assert "2013-12-02 21:15" in lines[1]
    assert "sent 1,000" in lines[1]


def test_alerts_show_the_recordings_own_dates():
    assert alert_words(PLAN, alert(end_ms=PLAN.start_ms + 1_000)) == (
        "2013-12-02 21:15  raised      drift on machine/machine-1/temperature  71.5"
    )


def test_the_live_panel_draws_itself():
    from rich.console import Console

    progress = Progress(stage="running")
    progress.update(event_ms=PLAN.start_ms + 1, sent=12)
    progress.alert(alert())
    console = Console(record=True, width=100, force_terminal=True, file=open(os.devnull, "w"))
    view = LiveView(PLAN, progress, console)
    console.print(view._panel())
    text = console.export_text()
    assert "drift on machine" in text
    assert "running" in text


def test_memory_is_sampled_by_group_and_each_process_counts_once():
    own = os.getpid()
    assert pss_kib(own) > 10_000
    assert pss_kib(2**22 + 1) == 0
    sampler = Sampler(lambda: {"a": [own], "b": [own, 2**22 + 1]})
    sampler.sample()
    assert sampler.peak_mib == sampler.at_peak_mib["a"] > 10
    assert sampler.at_peak_mib["b"] == 0
    assert sampler.cpu_seconds()["a"] > 0
