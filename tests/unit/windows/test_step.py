"""One step of a shard: what counts as what, and that nothing a record holds is ever an exception."""

import math
import struct

import msgspec
import pytest

from connectors.wire.alert import alert_id, event_id
from connectors.wire.record import Heartbeat, Readings, encode_record
from connectors.wire.ruleset import Rule, RuleSet
from connectors.wire.series import SeriesTable
from jobs.windows.rules import compile_rules
from jobs.windows.shard import ShardState, Window, late, step
from tests.support.oracle import WINDOW_MS
from tests.support.shards import OTHER, TABLE, Shard, compiled, part

HOT = Rule(id="hot", detector="limits", levels={"medium": 50.0, "critical": 90.0})
MISSING = Rule(id="missing", detector="missing", parameters={"warm_up": 2}, levels={"medium": 1.0})
SILENT = Rule(id="silent", detector="silence", parameters={"warm_up": 2}, levels={"high": 1.0})
G = ("g-d0/q0", "g-d0/q1", "g-d1/q0")


def test_an_alert_says_where_what_and_why() -> None:
    shard = Shard(compiled(HOT))
    shard.see(part([1.0, 2.0]))
    (event,) = shard.see(part([1.0, 60.0])).alerts
    assert event.alert_id == alert_id("g", "g-d0", "q1", "hot", WINDOW_MS)
    assert event.event_id == event_id(event.alert_id, "raised", 2 * WINDOW_MS)
    assert (event.site, event.gateway, event.device, event.quantity, event.unit) == ("s", "g", "g-d0", "q1", "Cel")
    assert (event.score, event.limit, event.value, event.severity) == (60.0, 50.0, 60.0, "medium")
    assert (event.window_start_ms, event.window_end_ms, event.first_offset, event.last_offset) == (
        10_000,
        20_000,
        10,
        20,
    )
    assert event.detail == "highest value 60"
    (event,) = shard.see(part([1.0, 95.0])).alerts
    assert (event.transition, event.severity, event.raised_ms, event.limit) == ("escalated", "critical", 10_000, 90.0)
    (event,) = shard.see(part([1.0, 2.0])).alerts
    assert (event.transition, event.severity, event.raised_ms) == ("cleared", "critical", 10_000)


def test_bad_quality_counts_but_is_not_judged() -> None:
    outcome = Shard(compiled(HOT)).see(part([99.0, 99.0], series=[0, 1], quality=b"\x02\x01"))
    assert [event.quantity for event in outcome.alerts] == ["q1"]
    assert outcome.summary is not None and outcome.summary.readings == 2
    first, second = struct.unpack("<2d", outcome.summary.mean)
    assert math.isnan(first) and second == 99.0


def test_a_window_without_records_is_judged() -> None:
    outcome = Shard(compiled(HOT)).raw([])
    assert outcome.summary is not None
    assert (outcome.summary.readings, outcome.summary.observed, outcome.summary.groups) == (0, False, [])


def test_a_window_is_judged_without_rules() -> None:
    outcome = Shard(compile_rules([])).see(part([1.0]))
    assert outcome.summary is not None and outcome.summary.rule_version == 0
    assert math.isnan(struct.unpack("<f", outcome.summary.score)[0])


@pytest.mark.parametrize("junk", [b"", b"\xc1", b"{}", b"\x81\xa1t\xa1r", b"\x00" * 50, "ü".encode()])
def test_a_record_that_cannot_be_decoded_is_a_dead_letter(junk: bytes) -> None:
    shard = Shard(compiled(HOT))
    good = encode_record(Readings(cell_ms=0, parts=[part([1.0])], tables=[TABLE]))
    outcome = shard.raw([junk, good])
    assert [(one.reason, one.payload, one.service) for one in outcome.dead] == [("malformed", junk, "job")]
    assert outcome.dead[0].source == "tidemark.readings.v1/0/10-20"
    assert outcome.summary is not None and outcome.summary.readings == 1


def test_a_record_of_a_later_version_is_a_dead_letter() -> None:
    later = encode_record(Readings(v=9, cell_ms=0, parts=[part([1.0])], tables=[TABLE]))
    assert [one.reason for one in Shard(compiled(HOT)).raw([later]).dead] == ["unknown-version"]


def test_a_part_with_an_unknown_table_is_a_dead_letter() -> None:
    outcome = Shard(compiled(HOT)).see(part([1.0, 2.0], table="0" * 16), part([1.0], seq=2))
    (letter,) = outcome.dead
    assert (letter.reason, letter.gateway, letter.boot, letter.seq, letter.readings) == (
        "unknown-table",
        "g",
        "b",
        1,
        2,
    )
    assert letter.received_ms == 77
    assert outcome.summary is not None and outcome.summary.readings == 1


def test_a_table_is_remembered() -> None:
    shard = Shard(compiled(HOT))
    shard.see(part([1.0]))
    outcome = shard.see(part([1.0]), tables=())
    assert not outcome.dead and outcome.summary is not None and outcome.summary.readings == 1


def test_a_table_that_lies_about_its_id_is_refused() -> None:
    lie = SeriesTable(id="0" * 16, series=TABLE.series)
    outcome = Shard(compiled(HOT)).see(part([1.0], table="0" * 16), tables=[lie])
    assert [one.reason for one in outcome.dead] == ["bad-table", "unknown-table"]


def test_columns_of_unequal_length_are_a_dead_letter() -> None:
    broken = [
        msgspec.structs.replace(part([1.0, 2.0]), series=b"\0" * 4),
        msgspec.structs.replace(part([1.0, 2.0], seq=2), values=b"\0" * 15),
        msgspec.structs.replace(part([1.0, 2.0], seq=3), quality=b"\0"),
        msgspec.structs.replace(part([1.0, 2.0], seq=4), index=b"\0" * 4),
        msgspec.structs.replace(part([1.0], seq=5), offsets=b"", series=b"", values=b""),
    ]
    outcome = Shard(compiled(HOT)).see(*broken, part([1.0], seq=6))
    assert [(one.reason, one.seq) for one in outcome.dead] == [("columns-differ", seq) for seq in range(1, 6)]
    assert outcome.summary is not None and outcome.summary.readings == 1


def test_single_bad_readings_are_dead_alone() -> None:
    values = [1.0, math.nan, 3.0, 4.0, math.inf]
    outcome = Shard(compiled(HOT)).see(part(values, series=[0, 1, 7, 2, 2], offsets=[0, 1, 2, WINDOW_MS, 4]))
    letters = {one.reason: (one.indexes, one.readings) for one in outcome.dead}
    assert letters == {"unknown-series": ([2], 1), "bad-value": ([1, 4], 2), "bad-time": ([3], 1)}
    assert outcome.summary is not None and outcome.summary.readings == 1
    assert [one.readings for one in outcome.summary.judged] == [1]


def test_a_cell_outside_the_window_is_dead() -> None:
    shard = Shard(compiled(HOT))
    stray = encode_record(Readings(cell_ms=5 * WINDOW_MS, parts=[part([1.0])], tables=[TABLE]))
    assert [one.reason for one in shard.raw([stray]).dead] == ["bad-time"]


def test_copies_count_once() -> None:
    outcome = Shard(compiled(HOT)).see(part([1.0, 2.0]), part([1.0, 2.0]), part([3.0], seq=2))
    assert outcome.summary is not None
    assert (outcome.summary.readings, outcome.summary.duplicates) == (3, 2)
    assert outcome.summary.judged[0].ranges == [1, 2]


def test_a_series_in_two_tables_of_its_gateway_is_one_series() -> None:
    """A gateway that gets a new sensor has a new table; what its old series learned stays."""
    from connectors.wire.series import Series, series_table

    longer = series_table((Series("new", "q", ""), *TABLE.series))
    shard = Shard(compiled(HOT))
    shard.see(part([60.0]))
    outcome = shard.see(part([1.0, 1.0], table=longer.id), tables=[longer])
    assert [(one.transition, one.device) for one in outcome.alerts] == [("cleared", "g-d0")]
    assert outcome.summary is not None
    assert [(one.table, one.rows) for one in outcome.summary.groups] == [(longer.id, 2)]
    assert shard.state.directory.rows == 2


def test_a_window_that_was_judged_is_late_whole() -> None:
    shard = Shard(compiled(HOT))
    records = [
        encode_record(Readings(cell_ms=0, parts=[part([1.0, 2.0])], tables=[])),
        encode_record(Heartbeat(time_ms=0, bridge="b")),
    ]
    shard.see(part([1.0]))
    outcome = step(shard.state, Window(0, 0, WINDOW_MS, records, 5, 6), shard.rules)
    assert outcome.summary is None and not outcome.alerts and not outcome.dead
    (kept,) = outcome.late
    assert (kept.readings, kept.tables, kept.window_end_ms) == (2, [TABLE], WINDOW_MS)


def test_a_late_record_carries_the_tables_that_it_needs() -> None:
    shard = Shard(compiled(HOT))
    shard.see(part([1.0]), part([1.0], gateway="h"))
    record = encode_record(Readings(cell_ms=0, parts=[part([1.0]), part([2.0], gateway="h", seq=9)]))
    (kept,) = late(shard.state, record, WINDOW_MS, 4).late
    assert {table.id for table in kept.tables} == {TABLE.id, OTHER.id}
    assert (kept.offset, kept.cell_ms, kept.readings) == (4, 0, 2)


def test_a_late_record_that_cannot_be_kept_is_dead() -> None:
    state = ShardState(3)
    unknown = encode_record(Readings(cell_ms=0, parts=[part([1.0])]))
    assert [one.reason for one in late(state, unknown, 1, 4).dead] == ["unknown-table"]
    assert [one.reason for one in late(state, b"\xc1", 1, 4).dead] == ["malformed"]
    assert late(state, encode_record(Heartbeat(time_ms=0, bridge="b")), 1, 4).late == []


def test_a_series_that_ends_is_missing_and_comes_back() -> None:
    shard = Shard(compiled(MISSING, SILENT))
    both = [part([1.0, 2.0], series=[0, 1], seq=n) for n in range(3)]
    for _ in range(4):
        assert shard.told(*both) == []
    alone = [part([1.0], series=[0], seq=n) for n in range(3)]
    assert shard.told(*alone) == []
    assert shard.told(*alone) == [("missing", G[1], "raised")]
    assert shard.told(*alone) == []
    assert shard.told(*both) == [("missing", G[1], "cleared")]


def test_a_silent_gateway_is_one_alert_and_none_of_its_series() -> None:
    shard = Shard(compiled(MISSING, SILENT))
    own, other = [part([1.0, 2.0], seq=n) for n in range(3)], [part([1.0], gateway="h", seq=n) for n in range(3)]
    for _ in range(5):
        assert shard.told(*own, *other) == []
    assert shard.told(*other) == []
    assert shard.told(*other) == [("silent", "g", "raised")]
    for _ in range(5):
        assert shard.told(*other) == []
    assert shard.told(*own, *other) == [("silent", "g", "cleared")]


def test_windows_without_a_heartbeat_say_nothing_about_absence() -> None:
    shard = Shard(compiled(MISSING, SILENT))
    own = [part([1.0, 2.0], seq=n) for n in range(3)]
    for _ in range(5):
        shard.told(*own)
    for _ in range(10):
        assert shard.told(observed=False) == []
    assert shard.told() == []
    assert shard.told() == [("silent", "g", "raised")]


def test_a_slow_series_is_expected_at_its_own_pace() -> None:
    """One reading every fourth window: missing after three times that, and not before."""
    shard = Shard(compiled(MISSING))
    for number in range(40):
        assert shard.told(part([1.0], series=[0]), *([part([5.0], series=[1], seq=2)] if number % 4 == 0 else [])) == []
    quiet = [shard.told(part([1.0], series=[0])) for _ in range(12)]
    assert quiet.index([("missing", G[1], "raised")]) == 8  # the 12th window without a reading


def test_a_series_is_forgotten() -> None:
    rule = msgspec.structs.replace(MISSING, parameters={"warm_up": 2, "forget_after_windows": 6})
    shard = Shard(compiled(rule, HOT))
    for _ in range(4):
        shard.see(part([1.0, 70.0, 1.0]))
    told = [shard.told(part([1.0], series=[0])) for _ in range(8)]
    assert ("hot", G[1], "cleared") in told[6] and ("missing", G[1], "raised") in told[2]
    assert shard.state.directory.rows == 1
    assert shard.told(part([1.0, 70.0])) == [("hot", G[1], "raised")]
    cold = {}
    cold |= shard.state.directory.chunks()
    assert ShardState.restore(0, shard.state.hot(), cold).hot() == shard.state.hot()


def test_a_forgotten_gateway_clears_its_silence() -> None:
    rule = msgspec.structs.replace(MISSING, parameters={"warm_up": 2, "forget_after_windows": 6})
    shard = Shard(compiled(rule, SILENT))
    for _ in range(4):
        shard.see(part([1.0]), part([1.0], gateway="h"))
    told = [shard.told(part([1.0], gateway="h")) for _ in range(10)]
    assert [one for window in told for one in window] == [("silent", "g", "raised"), ("silent", "g", "cleared")]
    assert [gateway.name for gateway in shard.state.directory.gateways] == ["h"]


def test_a_rule_set_takes_effect_at_its_event_time() -> None:
    lower = msgspec.structs.replace(HOT, levels={"medium": 5.0})
    sets = [
        RuleSet(version=1, effective_from_ms=0, rules=(HOT,)),
        RuleSet(version=2, effective_from_ms=2 * WINDOW_MS, rules=(lower,)),
        RuleSet(version=3, effective_from_ms=3 * WINDOW_MS, rules=()),
    ]
    shard = Shard(compile_rules(sets))
    assert shard.told(part([7.0])) == []
    assert shard.told(part([7.0])) == []
    assert shard.told(part([7.0])) == [("hot", G[0], "raised")]
    assert shard.told(part([7.0])) == [("hot", G[0], "cleared")]
    assert shard.state.memories == {}


def test_a_selector_that_no_longer_covers_a_series_clears_its_alert() -> None:
    narrow = msgspec.structs.replace(HOT, select={"quantity": "q1"})
    sets = [
        RuleSet(version=1, effective_from_ms=0, rules=(HOT,)),
        RuleSet(version=2, effective_from_ms=WINDOW_MS, rules=(narrow,)),
    ]
    shard = Shard(compile_rules(sets))
    shard.see(part([70.0, 70.0]))
    assert shard.told(part([70.0, 70.0])) == [("hot", G[0], "cleared")]


def test_learning_is_told() -> None:
    rule = Rule(id="s", detector="score", parameters={"warm_up": 3}, levels={"high": 5.0})
    shard = Shard(compiled(rule))
    left = []
    for _ in range(6):
        summary = shard.see(part([1.0])).summary
        assert summary is not None
        left.append(summary.learning[0])
    assert left == [3, 2, 1, 0, 0, 0]


def test_the_summary_score_is_relative_to_the_lowest_limit() -> None:
    summary = Shard(compiled(HOT)).see(part([25.0, 100.0])).summary
    assert summary is not None
    assert struct.unpack("<2f", summary.score) == (0.5, 2.0)
