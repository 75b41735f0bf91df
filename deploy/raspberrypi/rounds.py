"""Rounds: every sensor read once, what came of it, and what waits to be committed."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from connectors.wire.series import Series, SeriesTable, series_table
from deploy.raspberrypi.sensor import MENDS, Fault, Reason, Sensor, Value
from simulators.device import Draft

_LOG = logging.getLogger("tidemark.pi")


@dataclass(frozen=True, slots=True)
class Taken:
    """A reading without a date: index of its series, value, and milliseconds since boot."""

    series: int
    value: float
    elapsed_ms: int


@dataclass
class Tally:
    """What happened since the start. `skipped` counts readings that were not taken, by (place, reason)."""

    rounds: int = 0
    missed_rounds: int = 0
    readings: int = 0
    committed: int = 0
    dropped: int = 0
    skipped: Counter[tuple[str, Reason]] = field(default_factory=Counter)

    def __str__(self) -> str:
        parts = [f"{self.readings} readings taken", f"{self.committed} committed"]
        if self.skipped:
            each = ", ".join(f"{place}: {reason} {count}" for (place, reason), count in sorted(self.skipped.items()))
            parts.append(f"{sum(self.skipped.values())} skipped ({each})")
        if self.dropped:
            parts.append(f"{self.dropped} dropped because they could not be committed in time")
        if self.missed_rounds:
            parts.append(f"{self.missed_rounds} rounds left out because reading took longer than the period")
        return ", ".join(parts)


class Rounds:
    """Reads all sensors, and logs when one falls ill, changes its complaint, or is well again."""

    def __init__(self, sensors: Sequence[Sensor], elapsed_ms: Callable[[], int]) -> None:
        self.tally = Tally()
        self._sensors, self._elapsed_ms = sensors, elapsed_ms
        names = [(sensor.device, *quantity) for sensor in sensors for quantity in sensor.quantities]
        self._index = {(device, quantity): at for at, (device, quantity, _) in enumerate(names)}
        self.table: SeriesTable = series_table(tuple(Series(*name) for name in names))
        self._ill: dict[tuple[str, str], Reason] = {}

    def take(self, progress: Callable[[], None]) -> list[Taken]:
        """Read every sensor once; `progress` is called after each, because many take long together."""
        taken = []
        for sensor in self._sensors:
            for found in self._read(sensor):
                if isinstance(found, Value):
                    self._well(sensor, found.quantity)
                    place = self._index[sensor.device, found.quantity]
                    taken.append(Taken(place, found.value, self._elapsed_ms()))
                else:
                    self._skip(sensor, found)
            progress()
        self.tally.rounds += 1
        self.tally.readings += len(taken)
        return taken

    @staticmethod
    def _read(sensor: Sensor) -> Sequence[Value | Fault]:
        """Keep a fault that nobody foresaw, in one sensor's driver, from ending the others' readings."""
        try:
            return sensor.read()
        except Exception as error:
            _LOG.debug("%s", sensor.place, exc_info=error)
            return [Fault(name, "unreadable", f"{type(error).__name__}: {error}") for name, _ in sensor.quantities]

    def _skip(self, sensor: Sensor, fault: Fault) -> None:
        self.tally.skipped[sensor.place, fault.reason] += 1
        key = (sensor.place, fault.quantity)
        if self._ill.get(key) != fault.reason:
            self._ill[key] = fault.reason
            name = f"{sensor.device}/{fault.quantity}"
            _LOG.warning(
                "%s (%s): no reading, %s: %s; %s", name, sensor.place, fault.reason, fault.detail, MENDS[fault.reason]
            )

    def _well(self, sensor: Sensor, quantity: str) -> None:
        reason = self._ill.pop((sensor.place, quantity), None)
        if reason is not None:
            _LOG.warning("%s/%s (%s): readings again, after %s", sensor.device, quantity, sensor.place, reason)


class Waiting:
    """Rounds that are not committed yet: the clock is unknown, or the disk refuses. Bounded; the oldest goes first."""

    def __init__(self, limit_rounds: int, tally: Tally) -> None:
        self._rounds: deque[list[Taken]] = deque()
        self._limit, self._tally = limit_rounds, tally

    def __len__(self) -> int:
        return len(self._rounds)

    def add(self, taken: list[Taken]) -> None:
        """Add a round; a round in which no sensor answered is none."""
        if taken:
            self._rounds.append(taken)

    def trim(self) -> None:
        """Drop what is beyond the limit, and count it."""
        while len(self._rounds) > self._limit:
            self._tally.dropped += len(self._rounds.popleft())

    def drafts(self, table: str, offset_ms: int) -> list[Draft]:
        """Return one pack a round, stamped; they stay until `committed`."""
        return [_draft(taken, table, offset_ms) for taken in self._rounds]

    def committed(self) -> None:
        """Forget what was in `drafts`: it is on disk."""
        self._tally.committed += sum(len(taken) for taken in self._rounds)
        self._rounds.clear()


def _draft(taken: list[Taken], table: str, offset_ms: int) -> Draft:
    """Stamp a round.

    >>> _draft([Taken(0, 20.5, 1_000), Taken(2, 50.0, 1_750)], "t", 1_700_000_000_000)
    Draft(table='t', base_ms=1700000001000, offsets_ms=[0, 750], series=[0, 2], values=[20.5, 50.0], quality=None)
    """
    first = taken[0].elapsed_ms
    return Draft(
        table=table,
        base_ms=first + offset_ms,
        offsets_ms=[one.elapsed_ms - first for one in taken],
        series=[one.series for one in taken],
        values=[one.value for one in taken],
    )
