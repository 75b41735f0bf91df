"""Recorded series that the demo replays, with their labelled windows, on the dates at which they were recorded.

The files come from the Numenta Anomaly Benchmark (MIT licence, `data/LICENSE-NAB.txt`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec

from connectors.wire.series import Series, SeriesTable, series_table
from simulators.replay import Recording, read_recording

DATA = Path(__file__).parent / "data"

Span = tuple[int, int]
"""Event time `[first, last]`, milliseconds, both ends included."""


@dataclass(frozen=True)
class Recorded:
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
    title: str
    unit: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Gateway, device and quantity, as alerts name the series."""
        return self.gateway, self.device, self.quantity

    @property
    def table(self) -> SeriesTable:
        """The gateway's series table."""
        return series_table((Series(self.device, self.quantity, self.unit),))


MACHINE = Recorded(
    "machine_temperature_system_failure.csv",
    "machine",
    "machine-1",
    "temperature",
    "temperature of an industrial machine",
)
OTHERS = (
    Recorded(
        "ambient_temperature_system_failure.csv",
        "office",
        "office-1",
        "temperature",
        "temperature of an office",
    ),
    Recorded("rds_cpu_utilization_cc0c53.csv", "database", "database-1", "cpu", "CPU of a database server", "%"),
)
RECORDED = (MACHINE, *OTHERS)


@cache
def recording(recorded: Recorded) -> Recording:
    """Return the readings, on the dates of the recording; naive stamps are taken as UTC."""
    return read_recording(DATA / recorded.file)


def labels(recorded: Recorded) -> tuple[Span, ...]:
    """Return the labelled windows, on the dates of the recording."""
    known = msgspec.json.decode((DATA / "labels.json").read_bytes(), type=dict[str, list[tuple[str, str]]])
    return tuple((_milliseconds(first), _milliseconds(last)) for first, last in known[recorded.file])


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
