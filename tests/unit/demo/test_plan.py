"""The plan of a run: dates, clock, settings, and the packs that the gateways send."""

from collections import Counter
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from connectors.kit.clock import ScaledClock
from connectors.wire.partition import shard_of
from connectors.wire.topics import DAY_MS
from deploy.demo import plan as planning
from deploy.demo.devices import all_packs, gateways
from deploy.demo.plan import (
    DISORDER_MS,
    GRID_MS,
    SHARDS,
    Plan,
    clock_settings,
    demo_fleet,
    demo_settings,
    make_plan,
    replayed,
    replayed_labels,
)
from deploy.demo.recordings import MACHINE, OTHERS, RECORDED, recording

NOW = 1_790_000_000_123


@pytest.fixture(scope="module")
def plan():
    return make_plan(NOW)


def test_the_whole_recording_lies_four_days_before_the_run(plan):
    machine = replayed(MACHINE, plan)
    assert machine.readings == recording(MACHINE).readings == 22_695
    assert 4 * DAY_MS <= NOW - int(machine.times[-1]) < 5 * DAY_MS
    assert int(machine.times[0] - recording(MACHINE).times[0]) == plan.shifts["machine"] * DAY_MS


def test_the_run_lies_on_the_grid_and_ends_in_the_past(plan):
    assert plan.start_ms % GRID_MS == plan.end_ms % GRID_MS == plan.last_heartbeat_ms % GRID_MS == 0
    assert plan.last_heartbeat_ms == plan.end_ms + DISORDER_MS <= NOW
    assert plan.windows == 7_561


def test_eleven_weeks_take_four_minutes_and_the_bound_nine_seconds(plan):
    assert (plan.end_ms - plan.start_ms) / plan.speed == pytest.approx(240_000)
    assert DISORDER_MS / plan.speed == pytest.approx(9_140, abs=10)
    assert plan.seconds == pytest.approx(249.1, abs=0.1)


def test_fewer_weeks_are_the_first_ones():
    short = make_plan(NOW, weeks=2, minutes=1.0)
    assert 13.9 < (short.end_ms - short.start_ms) / DAY_MS <= 14.1
    assert short.original_ms("machine", int(replayed(MACHINE, short).times[0])) == recording(MACHINE).times[0]


@pytest.mark.parametrize("wrong", [{"weeks": 0}, {"weeks": 12}, {"minutes": 0}])
def test_a_span_that_can_not_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_plan(NOW, **wrong)


def test_the_clock_never_runs_so_fast_that_the_disorder_bound_is_under_two_seconds():
    hasty = make_plan(NOW, minutes=0.01)
    assert DISORDER_MS / hasty.speed == pytest.approx(2_000)


def test_other_recordings_last_to_the_end_and_keep_their_time_of_day(plan):
    for one in OTHERS:
        cut = replayed(one, plan)
        assert plan.start_ms <= cut.times[0]
        assert plan.end_ms - 4 * GRID_MS <= cut.times[-1] < plan.end_ms
        assert plan.shifts[one.gateway] * DAY_MS + recording(one).times[-1] >= plan.end_ms
        assert replayed_labels(one, plan)


def test_all_labelled_windows_of_the_machine_are_in_the_run(plan):
    assert len(replayed_labels(MACHINE, plan)) == 4


def test_the_seed_is_the_days_unless_given(plan):
    assert plan.seed == 20260921
    assert make_plan(NOW, seed=7).seed == 7


def test_a_plan_survives_its_file(plan):
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


def test_the_clock_shows_the_first_window_at_the_given_moment(plan):
    clock = clock_settings(plan, 5_000).build()
    assert isinstance(clock, ScaledClock)
    assert clock.at(5_000) == plan.start_ms
    assert clock.wall_ms(plan.end_ms) == pytest.approx(245_000)


def test_neither_environment_nor_file_leads_the_demo_elsewhere(plan, monkeypatch, tmp_path):
    monkeypatch.setenv("TIDEMARK_KAFKA__BOOTSTRAP", "production:9092")
    (tmp_path / "tidemark.toml").write_text('[mqtt]\nhost = "production"\n')
    monkeypatch.chdir(tmp_path)
    settings = demo_settings(plan, Path("/tmp/demo"))
    assert settings.kafka.bootstrap.startswith("127.0.0.1:")
    assert settings.mqtt.host == "127.0.0.1"


def test_the_settings_follow_the_plan(plan):
    settings = demo_settings(plan, Path("/tmp/demo"))
    assert settings.time.grid_ms == settings.time.window_ms == GRID_MS
    assert settings.time.future_limit_ms >= settings.time.disorder_ms == settings.time.skew_limit_ms == DISORDER_MS
    assert settings.topics.keep_everything
    assert settings.bridge.last_heartbeat_ms == plan.end_ms + settings.time.disorder_ms
    assert settings.bridge.heartbeat_grace_ms >= settings.mqtt.reconnect_max_s * 1000
    # A silent partition's watermark stands for the grace; it must go on before the bound makes anything late.
    assert settings.bridge.heartbeat_grace_ms < DISORDER_MS / plan.speed / 2


def test_every_shard_has_a_gateway(plan):
    names = gateways(demo_fleet(plan))
    assert len(names) == len(RECORDED) + 10
    on_shard = Counter(shard_of(name, SHARDS) for name in names)
    assert set(on_shard) == set(range(SHARDS))
    assert max(on_shard.values()) - min(on_shard.values()) <= 1


def test_packs_come_in_order_a_pack_a_cell(plan):
    packs = list(islice(all_packs(plan, demo_fleet(plan)), 3_000))
    dues = [pack.due_ms for pack in packs]
    assert dues == sorted(dues)
    assert len({(pack.gateway, pack.due_ms) for pack in packs}) == len(packs)
    assert dues[0] == plan.start_ms + GRID_MS
    assert all(pack.draft.base_ms // GRID_MS * GRID_MS + GRID_MS == pack.due_ms for pack in packs)
    assert {len(pack.draft.values) for pack in packs if pack.gateway >= len(RECORDED)} == {120}


def test_the_fleet_is_as_promised(plan):
    fleet = demo_fleet(plan)
    assert planning.DEVICES * planning.SERIES == fleet.columns == 400
    kinds = fleet.describe()["faults"]
    assert set(kinds) == {"spike", "shift", "drift", "stuck", "dropout"}
    assert min(kinds.values()) >= 40
    assert len({fault.device for fault in fleet.faults}) <= 100
