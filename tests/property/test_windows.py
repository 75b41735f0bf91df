"""The pure step against the plain-Python oracle, and what must not matter to it: packing, order, copies, restarts."""

import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.wire.alert import AlertEvent
from connectors.wire.record import Heartbeat, Readings, decode_record, encode_record
from connectors.wire.ruleset import Rule, RuleSet
from connectors.wire.series import SeriesTable
from connectors.wire.summary import WindowSummary
from jobs.windows.rules import CompiledRules, compile_rules
from jobs.windows.shard import Outcome, ShardState, Window, late, step
from tests.support.oracle import (
    WINDOW_MS,
    Packing,
    Reading,
    equal_rows,
    pack_readings,
    part_of,
    summary_rows,
    table_of,
    tell,
)

WINDOWS = 24
PACKINGS = {
    "one": Packing(1),
    "seven": Packing(7),
    "hundred": Packing(100),
    "across": Packing(13, across=True),
    "shuffled": Packing(7, shuffled=5, repeats=0.3, parts_a_record=2),
}
BELOW = {"side": "below"}
CHECKED = settings(max_examples=10, deadline=None)


def rules() -> CompiledRules:
    """Every detector, with a short warm-up, so that small runs have alerts of every kind."""
    quick = {"warm_up": 5}
    made = (
        Rule(id="score", detector="score", parameters=quick, levels={"medium": 5.0, "high": 20.0}, keep_windows=2),
        Rule(id="drift", detector="drift", parameters=quick, levels={"medium": 8.0}, hysteresis=0.5),
        Rule(id="stuck", detector="stuck", parameters={"warm_up": 5}, levels={"low": 2.0}),
        Rule(id="missing", detector="missing", parameters={"warm_up": 2}, levels={"medium": 1.0}),
        Rule(id="silent", detector="silence", parameters={"warm_up": 2}, levels={"high": 1.0}),
        Rule(id="hot", detector="limits", levels={"low": 21.0, "critical": 60.0}, for_windows=2, hysteresis=0.1),
        Rule(id="cold", detector="limits", parameters=BELOW, levels={"medium": 18.0}, select={"gateway": "g0"}),
    )  # fmt: skip
    compiled = compile_rules([RuleSet(version=1, effective_from_ms=0, rules=made)])
    assert not compiled.errors
    return compiled


RULES = rules()


def scenario(seed: int) -> tuple[list[Reading], dict[str, SeriesTable]]:
    """Three gateways with faults: a step, a frozen series, one that ends, a gateway that ends, bad quality, ties."""
    chance = random.Random(seed)
    tables = {f"g{n}": table_of(f"g{n}", series) for n, series in enumerate((1, 4, 7))}
    silent_from = chance.randrange(8, WINDOWS)
    readings = []
    for gateway, table in tables.items():
        for window in range(WINDOWS if gateway != "g2" else silent_from):
            for series in range(len(table.series)):
                for _ in range(chance.choice((0, 1, 3, 3, 12)) if series != 3 or window < 12 else 0):
                    time_ms = window * WINDOW_MS + chance.randrange(0, WINDOW_MS, 500)
                    step_up = 50.0 if series == 1 and window >= 15 else 0.0
                    value = 20.0 if series == 2 and window >= 12 else 20.0 + chance.gauss(0, 1) + step_up
                    readings.append(Reading(gateway, time_ms, series, value, chance.choice((0, 0, 0, 0, 1, 2))))
    # Devices need not send in order of time: within a window, the order is any.
    return sorted(readings, key=lambda one: (one.gateway, one.time_ms // WINDOW_MS, chance.random())), tables


def judge(windows: Sequence[Sequence[bytes]], restart_at: int | None = None) -> list[Outcome]:
    """Judge windows, through a restart before one of them."""
    state, cold = ShardState(0), {}
    outcomes = []
    for number, records in enumerate(windows):
        if number == restart_at and number:
            state = ShardState.restore(0, state.hot(), cold)
        window = Window(0, number * WINDOW_MS, (number + 1) * WINDOW_MS, records)
        outcomes.append(step(state, window, RULES))
        cold |= state.cold_changes()
    return outcomes


def judged_by_none(summary: WindowSummary | None) -> WindowSummary:
    """A summary without what the packing decides: which packs there were, and how many copies."""
    assert summary is not None
    return msgspec.structs.replace(summary, judged=[], duplicates=0)


def alerts(outcomes: Sequence[Outcome]) -> list[AlertEvent]:
    return [event for outcome in outcomes for event in outcome.alerts]


@given(seed=st.integers(0, 10_000), packing=st.sampled_from(sorted(PACKINGS)))
@CHECKED
def test_a_summary_says_what_the_oracle_says(seed: int, packing: str) -> None:
    readings, tables = scenario(seed)
    windows = pack_readings(readings, tables, PACKINGS[packing])
    for number, (records, outcome) in enumerate(zip(windows, judge(windows), strict=True)):
        told = tell(records, tables.values(), number * WINDOW_MS, (number + 1) * WINDOW_MS)
        summary = outcome.summary
        assert summary is not None and not outcome.dead
        assert (summary.readings, summary.duplicates, summary.observed) == (
            told.readings,
            told.duplicates,
            told.observed,
        )
        rows = summary_rows(summary, tables.values())
        assert rows.keys() == told.rows.keys()
        assert all(equal_rows(rows[name], row) for name, row in told.rows.items())
        assert sum(one.readings for one in summary.judged) == told.readings


@given(seed=st.integers(0, 10_000))
@CHECKED
def test_packing_does_not_matter(seed: int) -> None:
    readings, tables = scenario(seed)
    runs = {name: judge(pack_readings(readings, tables, packing)) for name, packing in PACKINGS.items()}
    first = runs.pop("one")
    for name, outcomes in runs.items():
        assert alerts(outcomes) == alerts(first), name
        for one, other in zip(first, outcomes, strict=True):
            assert judged_by_none(one.summary) == judged_by_none(other.summary), name


def test_the_scenario_raises_alerts_of_every_rule() -> None:
    """Otherwise the property tests would compare nothing with nothing."""
    seen = set()
    for seed in range(4):
        readings, tables = scenario(seed)
        seen |= {(one.rule_id, one.transition) for one in alerts(judge(pack_readings(readings, tables, Packing(7))))}
    assert {rule for rule, _ in seen} == {rule.rule.id for rule in RULES.at(0).rules}
    assert {transition for _, transition in seen} >= {"raised", "cleared", "escalated"}


@given(seed=st.integers(0, 10_000), order=st.integers(0, 10_000), repeats=st.floats(0, 1))
@CHECKED
def test_order_and_copies_do_not_matter(seed: int, order: int, repeats: float) -> None:
    readings, tables = scenario(seed)
    plain = judge(pack_readings(readings, tables, Packing(5)))
    mixed = judge(pack_readings(readings, tables, Packing(5, shuffled=order, repeats=repeats)))
    assert alerts(mixed) == alerts(plain)
    for one, other in zip(plain, mixed, strict=True):
        assert one.summary is not None and other.summary is not None
        assert msgspec.structs.replace(other.summary, duplicates=0) == one.summary


@given(seed=st.integers(0, 10_000), at=st.integers(1, WINDOWS - 1))
@CHECKED
def test_a_restart_changes_nothing(seed: int, at: int) -> None:
    readings, tables = scenario(seed)
    windows = pack_readings(readings, tables, Packing(7))
    assert judge(windows, restart_at=at) == judge(windows)


@given(seed=st.integers(0, 10_000), cut=st.integers(0, 30))
@CHECKED
def test_copies_that_differ_are_united_by_index(seed: int, cut: int) -> None:
    """A copy that holds only some of a part's readings adds nothing, and two that overlap give the whole."""
    chance = random.Random(seed)
    table = table_of("g0", 3)
    members = [(n, Reading("g0", chance.randrange(5_000), chance.randrange(3), chance.gauss(20, 1))) for n in range(30)]
    whole = part_of("g0", "boot", 1, table.id, 0, members, True)
    low = part_of("g0", "boot", 1, table.id, 0, members[: max(cut, 1)], True)
    high = part_of("g0", "boot", 1, table.id, 0, members[max(cut - 5, 0) :] or members[-1:], True)
    parts = [low, high]
    chance.shuffle(parts)
    split = [encode_record(Readings(cell_ms=0, parts=[part], tables=[table])) for part in parts]
    one = [encode_record(Readings(cell_ms=0, parts=[whole], tables=[table]))]
    assert decode_record(one[0])
    got, expected = (judge([records])[0].summary for records in (split, one))
    assert judged_by_none(got) == judged_by_none(expected)
    assert got is not None and got.duplicates == len(low.values) // 8 + len(high.values) // 8 - 30


@pytest.mark.parametrize("name", sorted(PACKINGS))
def test_every_packing_has_the_same_readings(name: str) -> None:
    """The packings themselves are right: the oracle finds the same rows in each."""
    readings, tables = scenario(1)
    plain, other = (pack_readings(readings, tables, packing) for packing in (Packing(1), PACKINGS[name]))
    for number, (one, two) in enumerate(zip(plain, other, strict=True)):
        bounds = number * WINDOW_MS, (number + 1) * WINDOW_MS
        first, second = tell(one, tables.values(), *bounds), tell(two, tables.values(), *bounds)
        assert first.readings == second.readings and first.rows.keys() == second.rows.keys()


@given(seed=st.integers(0, 10_000), data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_bytes_are_an_exception(seed: int, data: st.DataObject) -> None:
    """Flipped, cut, repeated and inserted bytes: what can't be read is a dead letter, and the windows after are
    judged.
    """
    readings, tables = scenario(seed % 3)
    windows = pack_readings(readings, tables, Packing(7))[:3]
    records = [bytearray(record) for record in windows[1]]
    for _ in range(data.draw(st.integers(1, 6))):
        victim = records[data.draw(st.integers(0, len(records) - 1))]
        at = data.draw(st.integers(0, max(len(victim) - 1, 0)))
        match data.draw(st.sampled_from(("flip", "cut", "insert", "repeat"))):
            case "flip" if victim:
                victim[at] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del victim[at:]
            case "insert":
                victim[at:at] = data.draw(st.binary(max_size=9))
            case _:
                victim[at:at] = victim[at : at + 20]
    outcomes = judge([windows[0], [bytes(record) for record in records], windows[2]])
    for outcome in outcomes:
        msgspec.msgpack.encode(outcome.summary)
        msgspec.json.encode(outcome.alerts)
        msgspec.msgpack.encode(outcome.dead)
    for record in records:
        late(ShardState(0), bytes(record), WINDOW_MS, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"\x82\xa1t\xa1r\xa1x" + b"\x91" * 100_000 + b"\xc0",
        b"\x82\xa1t\xa1r\xa6tables" + b"\x91" * 100_000,
        encode_record(Readings(cell_ms=0, parts=[])).replace(b"cell_ms", b"cell\xff\xffs"),
        encode_record(Readings(cell_ms=2**63, parts=[])),
        encode_record(Readings(cell_ms=-(2**63), parts=[], tables=[])),
        encode_record(Heartbeat(time_ms=2**64 - 1, bridge="")),
    ],
    ids=["nested", "nested tables", "not UTF-8", "far ahead", "far behind", "far heartbeat"],
)
def test_hostile_bytes_are_no_exception(data: bytes) -> None:
    outcomes = judge([[data]])
    assert outcomes[0].summary is not None
    late(ShardState(0), data, WINDOW_MS, 0)
