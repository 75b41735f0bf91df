"""The shell between Flink and the step, with Flink's contexts and states replaced by dictionaries."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from pyflink.common import Row

from connectors.wire.ledger import DeadLetter
from connectors.wire.record import Heartbeat, Part, Readings, encode_record
from connectors.wire.ruleset import Rule, RuleSet
from connectors.wire.series import Series, series_table
from connectors.wire.summary import WindowSummary
from connectors.wire.versions import from_msgpack, to_json
from jobs import judge, sql
from jobs.judge import AGAIN_MS, SETTLE_MS, Judge, rules_problem
from jobs.windows import shard as shard_module

WINDOW_MS = 10_000
TABLE = series_table((Series("d", "t", "Cel"),))
RULES = to_json(RuleSet(version=1, effective_from_ms=0, rules=(Rule(id="r", detector="limits", levels={"high": 5.0}),)))


class Value:
    def __init__(self) -> None:
        self.data: bytes | None = None

    def value(self) -> bytes | None:
        return self.data

    def update(self, data: bytes) -> None:
        self.data = data


class Map(dict[Any, Any]):
    def put(self, key: Any, value: Any) -> None:
        self[key] = value

    def remove(self, key: Any) -> None:
        self.pop(key, None)


class Flink:
    """Runtime context, element contexts, state and timers of one subtask and one key."""

    def __init__(self, subtask: int = 0) -> None:
        self.hot, self.maps, self.rules = Value(), {"cold": Map(), "held": Map()}, Map()
        self.timers: list[int] = []
        self.subtask = subtask

    def get_index_of_this_subtask(self) -> int:
        return self.subtask

    def get_state(self, _: Any) -> Value:
        return self.hot

    def get_map_state(self, descriptor: Any) -> Map:
        return self.maps[descriptor.name]

    def get_broadcast_state(self, _: Any) -> Map:
        return self.rules

    def timer_service(self) -> "Flink":
        return self

    def current_processing_time(self) -> int:
        return judge._now_ms()

    def register_processing_time_timer(self, at: int) -> None:
        self.timers.append(at)


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    one = Clock()
    monkeypatch.setattr(judge, "_now_ms", one)
    return one


def opened(flink: Flink) -> Judge:
    one = Judge(WINDOW_MS)
    one.open(flink)
    return one


def row(number: int, late: bool = False, records: list[bytes] | None = None) -> Row:
    cell = number * WINDOW_MS
    part = Part("s", "g", "b", number, cell, TABLE.id, bytes(4), bytes(4), b"\0\0\0\0\0\0\xf0\x3f")
    if records is None:
        records = [
            encode_record(Readings(cell_ms=cell, parts=[part], tables=[TABLE])),
            encode_record(Heartbeat(time_ms=cell, bridge="b")),
        ]
    return Row(3, cell + WINDOW_MS - 1, records[:1] if late else records, 5, 6, late)


def summaries(rows: Iterator[Row]) -> list[int]:
    return [from_msgpack(WindowSummary, bytes(one[2])).start_ms for one in rows if one[0] == sql.SUMMARY]


def give_rules(one: Judge, flink: Flink, clock: Clock) -> None:
    assert list(one.process_broadcast_element(Row("1", RULES), flink)) == []
    clock.ms += SETTLE_MS


def test_windows_wait_for_rules_and_are_judged_in_order(clock: Clock) -> None:
    flink = Flink()
    one = opened(flink)
    assert list(one.process_element(row(0), flink)) == list(one.process_element(row(1), flink)) == []
    assert flink.hot.data is None
    assert flink.timers == [1_000_000 // AGAIN_MS * AGAIN_MS + AGAIN_MS] * 2
    give_rules(one, flink, clock)
    assert summaries(one.process_element(row(2), flink)) == [0, 10_000, 20_000]
    assert not flink.maps["held"]


def test_a_timer_judges_what_waits_when_no_further_window_comes(clock: Clock) -> None:
    flink = Flink()
    one = opened(flink)
    list(one.process_element(row(0), flink))
    assert list(one.on_timer(0, flink)) == []
    assert len(flink.timers) == 2, "it must look again"
    give_rules(one, flink, clock)
    assert summaries(one.on_timer(0, flink)) == [0]
    assert list(one.on_timer(0, flink)) == []


def test_what_waits_survives_a_restart(clock: Clock) -> None:
    flink = Flink()
    list(opened(flink).process_element(row(0), flink))
    again = opened(flink)
    list(again.process_element(row(1), flink))
    give_rules(again, flink, clock)
    assert summaries(again.on_timer(0, flink)) == [0, 10_000]


def test_judging_waits_until_rules_have_stopped_coming(clock: Clock) -> None:
    flink = Flink()
    one = opened(flink)
    give_rules(one, flink, clock)
    clock.ms -= 1
    assert list(one.process_element(row(0), flink)) == []
    clock.ms += 1
    assert summaries(one.process_element(row(1), flink)) == [0, 10_000]


def test_state_is_written_each_window_and_restored(clock: Clock) -> None:
    flink = Flink()
    one = opened(flink)
    give_rules(one, flink, clock)
    assert summaries(one.process_element(row(0), flink)) == [0]
    assert flink.hot.data
    again = opened(flink)
    clock.ms += SETTLE_MS
    assert summaries(again.process_element(row(0), flink)) == [], "judged twice after a restore"
    assert summaries(again.process_element(row(1), flink)) == [10_000]


def test_a_late_record_goes_to_late_and_leaves_the_state(clock: Clock) -> None:
    flink = Flink()
    one = opened(flink)
    give_rules(one, flink, clock)
    list(one.process_element(row(5), flink))
    before = flink.hot.data
    assert [tag for tag, *_ in one.process_element(row(1, late=True), flink)] == [sql.LATE]
    assert flink.hot.data == before


@pytest.mark.parametrize("bad", [b"", b"\xc1", b"{}", msgspec.msgpack.encode({"t": "r"}), bytes(100)])
@pytest.mark.parametrize("late", [False, True])
def test_bad_records_become_dead_letters_and_never_raise(clock: Clock, bad: bytes, late: bool) -> None:
    flink = Flink()
    one = opened(flink)
    give_rules(one, flink, clock)
    rows = list(one.process_element(row(0, late, [bad]), flink))
    dead = [from_msgpack(DeadLetter, bytes(body)) for tag, _, body, _ in rows if tag == sql.DEAD]
    assert [one.payload for one in dead] == [bad]


def test_a_fault_of_ours_costs_one_window_and_keeps_its_bytes_and_the_state(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    flink = Flink()
    one = opened(flink)
    give_rules(one, flink, clock)
    list(one.process_element(row(0), flink))
    before = flink.hot.data
    monkeypatch.setattr(judge, "step", lambda *_: 1 / 0)
    rows = list(one.process_element(row(1), flink))
    dead = [from_msgpack(DeadLetter, bytes(body)) for _, _, body, _ in rows]
    assert [(letter.payload, letter.reason) for letter in dead] == [(record, "rejected") for record in row(1)[2]]
    assert dead[0].readings == 1
    assert "ZeroDivisionError" in dead[0].detail
    assert flink.hot.data == before
    monkeypatch.setattr(judge, "step", shard_module.step)
    assert summaries(one.process_element(row(2), flink)) == [20_000]


def test_a_bad_rule_set_is_dead_lettered_once_and_leaves_the_good_ones(clock: Clock) -> None:
    for subtask, letters in ((0, 1), (1, 0)):
        flink = Flink(subtask)
        one = opened(flink)
        give_rules(one, flink, clock)
        assert len(list(one.process_broadcast_element(Row("2", b"{nonsense"), flink))) == letters
        assert list(flink.rules) == ["1"]
        clock.ms += SETTLE_MS
        assert summaries(one.process_element(row(0), flink)) == [0]


def test_a_rule_set_that_names_no_detector_is_a_problem() -> None:
    nobody = RuleSet(version=1, effective_from_ms=0, rules=(Rule(id="r", detector="nobody", levels={"high": 1.0}),))
    assert "nobody" in (rules_problem(to_json(nobody)) or "")
    assert rules_problem(RULES) is None


def test_a_tombstone_takes_a_rule_set_back(clock: Clock) -> None:
    flink = Flink()
    one = opened(flink)
    give_rules(one, flink, clock)
    assert list(one.process_broadcast_element(Row("1", None), flink)) == []
    assert not flink.rules
    assert list(one.process_element(row(0), flink)) == []
    assert flink.maps["held"]


def test_state_that_cannot_be_read_stops_the_job(clock: Clock) -> None:
    flink = Flink()
    flink.hot.data = b"\xff\xff\xff\xff later"
    one = opened(flink)
    give_rules(one, flink, clock)
    with pytest.raises(ValueError, match="state of a shard"):
        list(one.process_element(row(0), flink))
