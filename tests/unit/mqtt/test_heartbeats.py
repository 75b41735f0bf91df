"""Heartbeats say how far event time has come, no more than is known, and leave no watched cell out."""

import pytest

from connectors.mqtt.heartbeat import MAX_CELLS, Heartbeats, Past
from tests.support.bridge import NOW_MS, Bench, pack

GRID_MS = 10_000
T0 = NOW_MS // GRID_MS * GRID_MS


def make(shards=1, grace_ms=0, last_ms=None, past=None, disorder_ms=20_000):
    return Heartbeats(shards, grid_ms=GRID_MS, disorder_ms=disorder_ms, grace_ms=grace_ms, last_ms=last_ms, past=past)


def times(beats):
    return [time - T0 for _, time in beats]


def test_each_cell_is_stamped_once_in_every_partition():
    beats = make(shards=2)
    beats.connected(T0 + 1, 0)
    beats.take(T0 + 1, 0)
    assert beats.take(T0 + 10_006, 1) == []
    beats.echoed(T0 + 10_005)
    assert beats.take(T0 + 10_006, 1) == [(0, T0 + 10_000), (1, T0 + 10_000)]
    beats.echoed(T0 + 20_001)
    assert beats.take(T0 + 20_001, 2) == [(0, T0 + 20_000), (1, T0 + 20_000)]
    assert beats.take(T0 + 20_002, 3) == []
    beats.echoed(T0 + 50_001)
    assert times(beats.take(T0 + 50_001, 4)[:3]) == [30_000, 40_000, 50_000]


def test_the_clock_alone_stamps_nothing():
    bench = Bench()
    bench.pass_time(60_000)
    assert not bench.heartbeats()
    bench.pass_time(10)
    bench.echo()
    bench.pass_time(20_000)
    assert sorted({time - T0 for _, time in bench.heartbeats()}) == list(range(10_000, 60_001, 10_000))


def test_a_heartbeat_waits_for_every_message_before_its_echo():
    bench = Bench()
    bench.pass_time(10)
    bench.echo()
    bench.pass_time(10_000)
    bench.take_pack(pack())
    bench.echo()
    bench.pass_time(100)
    assert not bench.heartbeats()
    bench.deliver()
    bench.pass_time(10)
    assert {time for _, time in bench.heartbeats()} == {T0 + GRID_MS}


def test_a_forged_echo_moves_nothing():
    bench = Bench()
    bench.pass_time(10)
    bench.echo()
    bench.pass_time(10_000)
    bench.take(b"forged", bench.core.echo_topic)
    bench.take(b"\xff\xfe", bench.core.echo_topic)
    bench.pass_time(10)
    assert not bench.heartbeats()
    assert not bench.letters()


def test_one_echo_a_cell():
    beats = make()
    assert not beats.wants_echo(T0)
    beats.connected(T0, 0)
    assert beats.wants_echo(T0 + 1)
    assert not beats.wants_echo(T0 + 9_999)
    assert beats.wants_echo(T0 + 45_000)
    assert not beats.wants_echo(T0 + 45_001)


def test_in_the_grace_time_of_a_first_start_nothing_is_stamped():
    beats = make(grace_ms=30_000)
    beats.connected(T0, 0)
    beats.echoed(T0 + 25_000)
    beats.wrote(0, T0 + 25_000)
    assert beats.take(T0 + 25_000, 25_000) == []
    beats.echoed(T0 + 41_000)
    assert times(beats.take(T0 + 41_000, 41_000)) == [30_000, 40_000]


def test_after_a_short_outage_heartbeats_follow_the_readings_through_the_grace():
    beats = make(shards=2, grace_ms=30_000)
    beats.connected(T0, -60_000)
    beats.take(T0, 0)
    beats.echoed(T0 + 10_000)
    beats.take(T0 + 10_000, 0)
    beats.disconnected(T0 + 12_000)
    assert beats.take(T0 + 30_000, 18_000) == []
    beats.connected(T0 + 30_000, 18_000)
    beats.echoed(T0 + 31_000)
    beats.wrote(0, T0 + 25_000)
    assert beats.take(T0 + 31_000, 19_000) == [(0, T0 + 20_000)]
    assert beats.take(T0 + 50_000, 48_001) == [(0, T0 + 30_000), (1, T0 + 20_000), (1, T0 + 30_000)]


def test_after_a_long_outage_its_cells_stay_unobserved():
    beats = make(grace_ms=10_000)
    beats.connected(T0, -60_000)
    beats.take(T0, 0)
    beats.echoed(T0 + 10_000)
    beats.take(T0 + 10_000, 0)
    beats.disconnected(T0 + 12_000)
    beats.connected(T0 + 60_000, 48_000)
    beats.wrote(0, T0 + 60_000)
    beats.echoed(T0 + 61_000)
    assert beats.take(T0 + 61_000, 49_000) == []
    beats.disconnected(T0 + 62_000)
    beats.connected(T0 + 63_000, 51_000)
    assert beats.take(T0 + 64_000, 52_000) == [], "a second, short outage in the grace of a long one"
    beats.echoed(T0 + 81_000)
    assert times(beats.take(T0 + 81_000, 69_000)) == [70_000, 80_000]


def test_a_restart_goes_on_from_what_kafka_holds():
    past = Past(stamped={0: T0, 1: T0 - GRID_MS}, newest={0: T0 + 5_000, 1: T0 - GRID_MS})
    beats = make(shards=2, grace_ms=1_000, past=past)
    beats.connected(T0 + 15_000, 0)
    beats.echoed(T0 + 15_000)
    assert beats.take(T0 + 15_000, 500) == []
    assert beats.take(T0 + 16_000, 1_000) == [(0, T0 + 10_000), (1, T0), (1, T0 + 10_000)]
    assert beats.newest(1) == T0 + 10_000


@pytest.mark.parametrize("last", [40_000, 44_321])
def test_the_last_heartbeat_is_stamped_exactly_and_no_other_follows(last):
    beats = make(last_ms=T0 + last)
    beats.connected(T0, 0)
    beats.take(T0, 0)
    assert beats.wants_echo(T0 + 39_999)
    assert beats.wants_echo(T0 + 90_000)
    assert not beats.wants_echo(T0 + 190_000)
    beats.echoed(T0 + 90_000)
    stamped = times(beats.take(T0 + 90_000, 1))
    assert stamped == [10_000, 20_000, 30_000, 40_000] + ([last] if last % GRID_MS else [])
    beats.echoed(T0 + 190_000)
    assert beats.take(T0 + 190_000, 2) == []


def test_a_clock_that_jumps_by_years_sets_off_a_bounded_number():
    beats = make()
    beats.connected(T0, 0)
    beats.take(T0, 0)
    beats.echoed(T0)
    beats.take(T0, 0)
    beats.echoed(T0 + 10**12)
    assert len(beats.take(T0 + 10**12, 1)) <= MAX_CELLS + 1


def test_a_clock_that_steps_back_repeats_nothing():
    beats = make()
    beats.connected(T0, 0)
    beats.echoed(T0 + 20_000)
    beats.take(T0 + 20_000, 0)
    assert beats.take(T0 + 5_000, 1) == []


def test_a_record_that_lingers_goes_before_the_heartbeat():
    bench = Bench(linger_ms=60_000)
    bench.pass_time(10)
    bench.echo()
    bench.pass_time(10_000)
    bench.echo()
    bench.take_pack(pack())
    bench.pass_time(10)
    kinds = [send.timestamp_ms for send in bench.sends]
    assert kinds[0] == NOW_MS and len(kinds) == 3
