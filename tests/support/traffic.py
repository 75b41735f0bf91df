"""Data sets for tests on real parts: pure functions of their names, so that what must come out can be computed."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from connectors.wire.pack import Pack
from connectors.wire.ruleset import Rule, RuleSet
from connectors.wire.series import Series, SeriesTable, series_table

NORMAL, HIGH, CRITICAL = 20.0, 150.0, 250.0
"""What a series may be in a window: the limits below are 100 and 200."""

LIMIT_RULES = RuleSet(
    version=1000,  # newer than the shipped set, which the stack publishes first
    effective_from_ms=0,
    rules=(
        # No warm-up and no memory but the active alert: what comes out is a function of the data alone.
        Rule(id="over-limit", detector="limits", levels={"medium": 100.0, "critical": 200.0}),
        Rule(
            id="over-limit-twice",
            detector="limits",
            levels={"high": 100.0},
            select={"quantity": "temperature"},
            for_windows=2,
            keep_windows=2,
        ),
    ),
)


@dataclass(frozen=True)
class Reading:
    """One reading, before it is packed."""

    time_ms: int
    series: int
    value: float


@dataclass(frozen=True)
class DataSet:
    """Some seconds of a gateway's readings: each window of each series is normal, high or critical, by the seed.

    Attributes
    ----------
    start_ms
        A multiple of `window_ms`.
    per_window
        Readings of each series in each window.
    """

    seed: str
    start_ms: int
    windows: int
    per_window: int = 10
    window_ms: int = 1_000
    devices: int = 2
    table: SeriesTable = field(init=False)

    def __post_init__(self) -> None:
        names = [(f"press-{n}", quantity, unit) for n in range(self.devices) for quantity, unit in _QUANTITIES]
        object.__setattr__(self, "table", series_table(tuple(Series(*name) for name in names)))

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.windows * self.window_ms

    def window(self, number: int) -> list[Reading]:
        """Return a window's readings in the order of time; every time of a series is there once."""
        readings = []
        for series in range(len(self.table.series)):
            draw = random.Random(f"{self.seed}/{series}/{number}")
            level = draw.choices((NORMAL, HIGH, CRITICAL), weights=(5, 3, 2))[0]
            if number in (0, self.windows - 1):
                level = NORMAL
            elif (number, series) == (1, 0):
                level = CRITICAL  # so that no data set is without an alert
            step = self.window_ms // self.per_window
            for at in range(self.per_window):
                time_ms = self.start_ms + number * self.window_ms + at * step + series % step
                readings.append(Reading(time_ms, series, level + round(draw.uniform(-5, 5), 3)))
        return sorted(readings, key=lambda one: (one.time_ms, one.series))

    def readings(self) -> list[Reading]:
        return [reading for number in range(self.windows) for reading in self.window(number)]


_QUANTITIES = (("temperature", "Cel"), ("vibration", "m/s2"))


def pack_of(readings: Sequence[Reading], boot: str, seq: int, table: SeriesTable) -> Pack:
    base_ms = min(reading.time_ms for reading in readings)
    return Pack(
        boot=boot,
        seq=seq,
        table=table.id,
        base_ms=base_ms,
        offsets_ms=[reading.time_ms - base_ms for reading in readings],
        series=[reading.series for reading in readings],
        values=[reading.value for reading in readings],
    )


def packed(readings: Sequence[Reading], size: int, boot: str, table: SeriesTable) -> list[Pack]:
    """Pack readings in their order, `size` at a time."""
    chunks = [readings[at : at + size] for at in range(0, len(readings), size)]
    return [pack_of(chunk, boot, seq, table) for seq, chunk in enumerate(chunks, start=1)]


def shuffled_with_repeats(packs: Iterable[Pack], seed: str) -> list[Pack]:
    """Return each pack one to three times, in any order."""
    draw = random.Random(seed)
    copies = [pack for pack in packs for _ in range(draw.randint(1, 3))]
    draw.shuffle(copies)
    return copies
