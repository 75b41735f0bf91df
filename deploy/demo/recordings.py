"""Recorded series that the demo replays, with their labelled windows, on the dates at which they were recorded.

The files come from the Numenta Anomaly Benchmark (MIT licence, `data/LICENSE-NAB.txt`).
"""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec

from connectors.wire.topics import DAY_MS

DATA = Path(__file__).parent / "data"

Span = tuple[int, int]
"""Event time `[start, end]`, milliseconds."""


@dataclass(frozen=True)
class Recording:
    """A recorded series and the gateway that replays it.

    Attributes
    ----------
    file
        Name in `data/`.
    unit
        Empty where the benchmark doesn't say.
    title
        For people.
    """

    file: str
    gateway: str
    device: str
    quantity: str
    unit: str
    title: str

    @property
    def path(self) -> Path:
        """Where the file is."""
        return DATA / self.file


MACHINE = Recording(
    "machine_temperature_system_failure.csv",
    "machine",
    "machine-1",
    "temperature",
    "",
    "Temperature of an industrial machine",
)
OTHERS = (
    Recording(
        "ambient_temperature_system_failure.csv",
        "office",
        "office-1",
        "temperature",
        "",
        "Temperature in an office whose sensor fails",
    ),
    Recording("nyc_taxi.csv", "taxis", "city-1", "passengers", "", "Taxi passengers in New York, per half hour"),
)


def milliseconds(text: str) -> int:
    """Return a recorded stamp as milliseconds since 1970; the recordings name no zone and are taken as UTC.

    >>> milliseconds("1970-01-02 00:00:00")
    86400000
    """
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@cache
def readings(recording: Recording) -> tuple[tuple[int, float], ...]:
    """Return (time_ms, value) as recorded, in the file's order."""
    with recording.path.open(newline="") as file:
        return tuple((milliseconds(row["timestamp"]), float(row["value"])) for row in csv.DictReader(file))


def labels(recording: Recording) -> tuple[Span, ...]:
    """Return the labelled windows, on the recording's dates."""
    known = msgspec.json.decode((DATA / "labels.json").read_bytes(), type=dict[str, list[tuple[str, str]]])
    return tuple((milliseconds(first), milliseconds(last)) for first, last in known[recording.file])


def last_ms(recording: Recording) -> int:
    """Return the latest stamp of a recording."""
    return max(time for time, _ in readings(recording))


def shift_days(last: int, target: int) -> int:
    """Return by how many whole days `last` must be moved to lie at most a day before `target`, and not after it.

    >>> shift_days(DAY_MS, 10 * DAY_MS + 1)
    9
    """
    return (target - last) // DAY_MS
