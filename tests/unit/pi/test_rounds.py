"""Rounds: what is read, skipped, counted, held and stamped."""

import logging
from collections.abc import Sequence

import pytest

from deploy.raspberrypi.rounds import Rounds, Taken, Tally, Waiting
from deploy.raspberrypi.sensor import Fault, Quantities, Value


class Scripted:
    """A sensor that plays a list of answers."""

    def __init__(self, device: str, *answers: Sequence[Value | Fault] | Exception) -> None:
        self.device, self.place = device, f"sensor of {device}"
        self.quantities: Quantities = (("temperature", "Cel"), ("humidity", "%RH"))
        self._answers = list(answers)

    def read(self) -> Sequence[Value | Fault]:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


BOTH = [Value("temperature", 20.0), Value("humidity", 50.0)]
CRC = [Fault("temperature", "crc", "…"), Value("humidity", 50.0)]


def rounds(*sensors: Scripted) -> Rounds:
    times = iter(range(1_000, 1_000_000, 100))
    return Rounds(sensors, lambda: next(times))


def test_a_round_has_an_entry_a_reading_with_its_own_time() -> None:
    made = rounds(Scripted("a", BOTH), Scripted("b", BOTH))
    assert [series.device for series in made.table.series] == ["a", "a", "b", "b"]
    assert made.take(lambda: None) == [
        Taken(0, 20.0, 1_000), Taken(1, 50.0, 1_100), Taken(2, 20.0, 1_200), Taken(3, 50.0, 1_300),
    ]  # fmt: skip


def test_what_can_t_be_read_is_skipped_and_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    gone = [Fault("temperature", "gone", "…"), Value("humidity", 50.0)]
    made = rounds(Scripted("a", CRC, CRC, CRC, gone, BOTH, CRC))
    sizes = [len(made.take(lambda: None)) for _ in range(6)]
    assert sizes == [1, 1, 1, 1, 2, 1]
    assert made.tally.skipped == {("sensor of a", "crc"): 4, ("sensor of a", "gone"): 1}
    lines = [record.getMessage() for record in caplog.records]
    assert ["crc" in lines[0], "gone" in lines[1], "again" in lines[2], "crc" in lines[3]] == [True] * 4
    assert len(lines) == 4
    assert "5 skipped (sensor of a: crc 4, sensor of a: gone 1)" in str(made.tally)


def test_a_driver_that_raises_stops_no_other_sensor() -> None:
    made = rounds(Scripted("a", ZeroDivisionError("no")), Scripted("b", BOTH))
    assert [taken.series for taken in made.take(lambda: None)] == [2, 3]
    assert made.tally.skipped == {("sensor of a", "unreadable"): 2}


def test_progress_is_told_after_each_sensor() -> None:
    told: list[int] = []
    rounds(Scripted("a", BOTH), Scripted("b", BOTH)).take(lambda: told.append(1))
    assert len(told) == 2


def test_what_waited_is_stamped_with_when_it_was_read() -> None:
    tally = Tally()
    waiting = Waiting(10, tally)
    waiting.add([Taken(0, 20.0, 5_000), Taken(1, 50.0, 5_750)])
    waiting.add([])
    waiting.add([Taken(0, 21.0, 15_000)])
    drafts = waiting.drafts("t", 1_790_000_000_000)
    assert [(draft.base_ms, draft.offsets_ms) for draft in drafts] == [
        (1_790_000_005_000, [0, 750]), (1_790_000_015_000, [0]),
    ]  # fmt: skip
    assert len(waiting) == 2, "nothing is forgotten before it is committed"
    waiting.committed()
    assert (len(waiting), tally.committed) == (0, 3)


def test_the_oldest_goes_first_and_is_counted() -> None:
    tally = Tally()
    waiting = Waiting(2, tally)
    for at in range(5):
        waiting.add([Taken(0, float(at), at), Taken(1, 0.0, at)])
    waiting.trim()
    assert [draft.values[0] for draft in waiting.drafts("t", 0)] == [3.0, 4.0]
    assert tally.dropped == 6
