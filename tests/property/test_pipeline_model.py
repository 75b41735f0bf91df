"""Whatever breaks, and whenever: the books close, nothing is judged twice, and short faults make nothing late.

Hypothesis drives the model of `tests/model/pipeline_model.py`, which runs the real core of the bridge.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from connectors.mqtt.core import Bridge
from connectors.mqtt.heartbeat import Heartbeats
from tests.model.pipeline_model import DISORDER_MS, GRACE_MS, GRID_MS, ORIGIN_MS, WINDOW_MS, World

GATEWAYS = 3
SETTLE_MS = 30_000
FASTEST_CLOCK_MS = 3_000


class AnyFaults(RuleBasedStateMachine):
    """Faults of any length, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(GATEWAYS)

    @rule(milliseconds=st.sampled_from([250, 1_000, 3_000, 12_000]))
    def time_passes(self, milliseconds):
        self.world.advance(milliseconds)

    @rule(milliseconds=st.sampled_from([1_000, 12_000]))
    def silence(self, milliseconds):
        self.world.settle(milliseconds)

    @precondition(lambda self: self.world.host.core is not None)
    @rule(written=st.integers(0, 20))
    def bridge_is_killed(self, written):
        self.world.host.kill(self.world.kafka, written, self.world.now_ms)

    @precondition(lambda self: self.world.host.core is not None)
    @rule()
    def bridge_is_stopped(self):
        self.world.host.stop(self.world.broker, self.world.kafka, self.world.now_ms)

    @precondition(lambda self: self.world.host.core is None and self.world.kafka.up)
    @rule()
    def bridge_starts(self):
        self.world.host.start(self.world.kafka)

    @rule()
    def kafka_comes_or_goes(self):
        self.world.kafka.up = not self.world.kafka.up

    @precondition(lambda self: self.world.broker.up)
    @rule(kept=st.sampled_from([None, 0, 3, 1_000]))
    def broker_is_killed(self, kept):
        self.world.broker.kill(kept)

    @precondition(lambda self: not self.world.broker.up)
    @rule()
    def broker_starts(self):
        self.world.broker.up = True

    @precondition(lambda self: self.world.host.linked)
    @rule()
    def bridge_connection_breaks(self):
        self.world.host.linked = False
        self.world.host.core.disconnected(self.world.now_ms)

    @rule(number=st.integers(0, GATEWAYS - 1))
    def gateway_comes_or_goes(self, number):
        self.world.gateways[number].online = not self.world.gateways[number].online

    @rule(number=st.integers(0, GATEWAYS - 1))
    def gateway_sends_all_again(self, number):
        gateway = self.world.gateways[number]
        gateway.cursor = min(gateway.outbox, default=gateway.cursor)

    @rule(number=st.integers(0, GATEWAYS - 1), ahead_ms=st.sampled_from([-4_000, 0, FASTEST_CLOCK_MS]))
    def gateway_clock_steps(self, number, ahead_ms):
        self.world.gateways[number].ahead_ms = ahead_ms

    @rule(number=st.integers(0, GATEWAYS - 1), bad=st.frozensets(st.integers(0, 4)), spread=st.integers(1, 9_000))
    def gateway_commits_some_bad_readings(self, number, bad, spread):
        self.world.gateways[number].commit(self.world.now_ms, spread, 5, bad)

    @rule()
    def job_checkpoints(self):
        self.world.job.checkpoint()

    @rule()
    def job_is_killed(self):
        self.world.job.restore()

    @rule(limit=st.sampled_from([0, 1, 3, 1_000]))
    def job_runs_at(self, limit):
        self.world.job_limit = limit

    def teardown(self):
        self.world.heal()
        self.world.settle(SETTLE_MS)
        self.world.check_closed()
        assert not self.world.books()["waiting"]
        assert not any(gateway.outbox for gateway in self.world.gateways)
        self.no_window_is_left_open()
        self.late_only_if_it_came_late()

    def no_window_is_left_open(self):
        """Heartbeats move silent shards too: what ended a disorder bound and a cell ago was judged."""
        until = self.world.now_ms - DISORDER_MS - GRID_MS - WINDOW_MS
        for shard, work in enumerate(self.world.job.shards):
            assert all(start >= until for start in work.windows), f"shard {shard} stands still"

    def late_only_if_it_came_late(self):
        """A reading is late only if it reached Kafka a disorder bound (less a fast clock) after its window's end."""
        written = self.world.kafka.contents()
        late = self.world.job.late()
        cells = self.world.kafka.cells()
        for reading in late:
            end = cells[reading] // WINDOW_MS * WINDOW_MS + WINDOW_MS
            assert written[reading] + FASTEST_CLOCK_MS >= end + DISORDER_MS - 1


TestAnyFaults = AnyFaults.TestCase
TestAnyFaults.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class ShortFaults(RuleBasedStateMachine):
    """One fault at a time, over before the disorder bound, with time to catch up: as if there had been none."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(GATEWAYS)
        self.world.advance(2 * GRACE_MS)

    def _fault_for(self, milliseconds, mend):
        self.world.advance(milliseconds)
        mend()
        self.world.advance(DISORDER_MS)

    @rule(milliseconds=st.integers(1, 34).map(lambda n: n * 250), written=st.integers(0, 20))
    def bridge_is_killed(self, milliseconds, written):
        world = self.world
        world.host.kill(world.kafka, written, world.now_ms)
        self._fault_for(milliseconds, lambda: world.host.start(world.kafka))

    @rule(milliseconds=st.integers(1, 34).map(lambda n: n * 250))
    def bridge_is_restarted(self, milliseconds):
        world = self.world
        world.host.stop(world.broker, world.kafka, world.now_ms)
        self._fault_for(milliseconds, lambda: world.host.start(world.kafka))

    @rule(milliseconds=st.integers(1, 34).map(lambda n: n * 250))
    def kafka_is_away(self, milliseconds):
        self.world.kafka.up = False
        self._fault_for(milliseconds, lambda: setattr(self.world.kafka, "up", True))

    # A broker that lost its session takes packs for nobody until the bridge is back; they come after the ack timeout,
    # so that this outage counts as so much longer.
    @rule(milliseconds=st.integers(1, 12).map(lambda n: n * 250), kept=st.sampled_from([None, 0, 1, 1_000]))
    def broker_is_killed(self, milliseconds, kept):
        self.world.broker.kill(kept)
        self._fault_for(milliseconds, lambda: setattr(self.world.broker, "up", True))

    @rule()
    def bridge_connection_breaks(self):
        self.world.host.linked = False
        self.world.host.core.disconnected(self.world.now_ms)
        self.world.advance(1_000)

    @rule(number=st.integers(0, GATEWAYS - 1), milliseconds=st.integers(1, 34).map(lambda n: n * 250))
    def gateway_is_away(self, number, milliseconds):
        gateway = self.world.gateways[number]
        gateway.online = False
        self._fault_for(milliseconds, lambda: setattr(gateway, "online", True))

    def teardown(self):
        self.world.advance(2 * DISORDER_MS)
        self.world.settle(SETTLE_MS)
        self.world.check_closed()
        assert not self.world.job.late()
        for shard, windows in self.world.fired().items():
            starts = [fired.start_ms for fired in windows]
            assert starts == list(range(starts[0], starts[-1] + 1, WINDOW_MS)), f"shard {shard} skipped a window"
            first = ORIGIN_MS + 2 * GRACE_MS
            unobserved = [window.start_ms for window in windows if window.start_ms >= first and not window.observed]
            assert not unobserved, f"shard {shard}: no heartbeat in {unobserved}"


TestShortFaults = ShortFaults.TestCase
TestShortFaults.settings = settings(
    max_examples=12, stateful_step_count=5, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("fault", ["bridge", "kafka"])
def test_long_outage_behind_the_broker_makes_nothing_late(fault):
    """Longer than the disorder bound by far: the broker keeps the order, and heartbeats wait for its queue."""
    world = World()
    world.advance(8_000)
    if fault == "bridge":
        world.host.kill(world.kafka, 0, world.now_ms)
    else:
        world.kafka.up = False
    world.advance(40_000)
    if fault == "bridge":
        world.host.start(world.kafka)
    world.kafka.up = True
    world.advance(20_000)
    world.settle(SETTLE_MS)
    world.check_closed()
    assert not world.job.late()


class ByClockAlone(Bridge):
    """A bridge whose heartbeats follow its clock and the messages it holds, not the broker's queue."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

        class Clocked(Heartbeats):
            def take(self, now_ms, wall_ms):
                self.echoed(now_ms)
                return super().take(now_ms, wall_ms)

        self._heartbeats.__class__ = Clocked


def test_the_model_finds_heartbeats_that_outrun_the_queue():
    """The check above must be able to fail: without the echo, a Kafka outage makes the broker's backlog late."""
    world = World(bridge_type=ByClockAlone)
    world.advance(8_000)
    world.kafka.up = False
    world.advance(40_000)
    world.kafka.up = True
    world.advance(20_000)
    world.settle(SETTLE_MS)
    world.check_closed()
    assert world.job.late()


def test_long_outage_of_a_gateway_is_late_and_counted():
    world = World()
    world.advance(8_000)
    away = world.gateways[0]
    away.online = False
    world.advance(30_000)
    away.online = True
    world.advance(10_000)
    world.settle(SETTLE_MS)
    world.check_closed()
    assert {reading[0] for reading in world.job.late()} == {away.name}


def test_late_copy_of_a_judged_pack_is_no_late_reading():
    world = World()
    world.advance(20_000)
    gateway = world.gateways[0]
    gateway.commit(world.now_ms, 1_000, 4)
    pack = gateway.outbox[gateway.next_seq - 1]
    world.settle(SETTLE_MS)
    assert gateway.next_seq - 1 not in gateway.outbox
    gateway.outbox[gateway.next_seq - 1], gateway.cursor = pack, gateway.next_seq - 1
    gateway.progress_ms = world.now_ms
    world.settle(1_000)
    gateway.outbox.clear()
    assert sum(work.late_copies for work in world.job.shards) == 4
    assert not world.job.late()
    world.check_closed()


def test_end_of_data_fires_every_window_and_stops_the_heartbeats():
    end = ORIGIN_MS + 40_000
    world = World(last_ms=end + DISORDER_MS)
    world.advance(40_000)
    world.settle(60_000)
    world.check_closed()
    for windows in world.fired().values():
        assert windows[-1].start_ms == end - WINDOW_MS
    stamps = [records[-1][0] for records in world.kafka.readings]
    assert stamps == [end + DISORDER_MS] * len(stamps)


def test_a_bridge_away_for_longer_than_the_bound_leaves_cells_unobserved():
    """What no bridge watched says nothing about missing data."""
    world = World()
    world.advance(12_000)
    world.host.kill(world.kafka, 0, world.now_ms)
    away_from = world.now_ms
    world.advance(24_000)
    world.host.start(world.kafka)
    world.advance(30_000)
    world.settle(SETTLE_MS)
    for windows in world.fired().values():
        outage = [w for w in windows if away_from + WINDOW_MS <= w.start_ms < away_from + 20_000]
        assert outage and not any(w.observed for w in outage)
        assert windows[-1].observed
