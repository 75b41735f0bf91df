"""Replaying recorded CSV files as one gateway: a time column first, numeric columns after it."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connectors.wire.series import Series, SeriesTable, series_table
from connectors.wire.topics import DAY_MS
from simulators.fleet.packs import CELL_READINGS, Dated, cut

_ERRORS_SHOWN = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RecordingError(ValueError):
    """A recording that can't be read; the message has one line an error: file, line, reason."""


@dataclass(frozen=True)
class Recording:
    """Readings of one device, by time.

    Attributes
    ----------
    columns
        Names of the quantities.
    times
        Event time, ms since 1970 UTC, ascending (equal stamps keep their order), shape (rows,).
    values
        Shape (rows, columns); NaN where the file has none.
    """

    path: Path
    columns: tuple[str, ...]
    times: NDArray[np.int64]
    values: NDArray[np.float64]

    @property
    def readings(self) -> int:
        """Number of readings."""
        return int(np.count_nonzero(~np.isnan(self.values)))


def read_recording(path: Path, columns: Sequence[str] = ()) -> Recording:
    """Read a CSV file (comma or semicolon) with a header, time first; naive times are UTC.

    Parameters
    ----------
    columns
        Which columns to take; empty takes all but the first.

    Raises
    ------
    RecordingError
        With the first errors, each naming file, line and reason.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header_line = file.readline()
            delimiter = ";" if header_line.count(";") > header_line.count(",") else ","
            header = next(csv.reader([header_line], delimiter=delimiter), [])
            places = _places(path, [name.strip() for name in header], columns)
            return _parse(path, places, csv.reader(file, delimiter=delimiter), len(header))
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except csv.Error as error:
        raise RecordingError(f"{path}: {error}") from error


def _places(path: Path, header: list[str], columns: Sequence[str]) -> dict[str, int]:
    if len(header) < 2:
        raise RecordingError(f"{path}:1: needs a header with a time column and at least one other")
    available = {name: place for place, name in enumerate(header) if place}
    unknown = [name for name in columns if name not in available]
    if unknown:
        raise RecordingError(f"{path}:1: no column {', '.join(unknown)}; there are {', '.join(available)}")
    return {name: available[name] for name in columns} if columns else available


def _parse(path: Path, places: dict[str, int], lines: Iterator[list[str]], width: int) -> Recording:
    times: list[int] = []
    rows: list[list[float]] = []
    errors: list[str] = []
    for number, fields in enumerate(lines, start=2):
        if not fields:
            continue
        try:
            if len(fields) != width:
                raise RecordingError(f"{len(fields)} fields, the header has {width}")
            times.append(_time_ms(fields[0]))
            rows.append([_number(name, fields[place]) for name, place in places.items()])
        except RecordingError as error:
            errors.append(f"{path}:{number}: {error}")
    if errors:
        more = [f"and {len(errors) - _ERRORS_SHOWN} more"] if len(errors) > _ERRORS_SHOWN else []
        raise RecordingError("\n".join(errors[:_ERRORS_SHOWN] + more))
    if not rows:
        raise RecordingError(f"{path}: no readings")
    stamps = np.array(times, dtype=np.int64)
    order = np.argsort(stamps, kind="stable")
    return Recording(path, tuple(places), stamps[order], np.array(rows, dtype=np.float64)[order])


def _time_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise RecordingError(f"time {text!r} is not ISO 8601, such as 2013-12-02 21:15:00") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _number(name: str, text: str) -> float:
    if not text.strip():
        return math.nan
    try:
        value = float(text)
    except ValueError as error:
        raise RecordingError(f"{name} {text!r} is not a number") from error
    if not math.isfinite(value):
        raise RecordingError(f"{name} {text!r} is not finite")
    return value


def recording_table(
    recordings: Sequence[Recording], devices: Sequence[str], unit: str = "", quantity: str = ""
) -> SeriesTable:
    """Return the series table of recordings, each of one device, in order.

    `quantity` renames the column of recordings that have one: recorded files often call it `value`.
    """
    names = []
    for recording, device in zip(recordings, devices, strict=True):
        columns = (quantity,) if quantity and len(recording.columns) == 1 else recording.columns
        names += [Series(device, column, unit) for column in columns]
    if len({(series.device, series.quantity) for series in names}) != len(names):
        raise RecordingError(f"two recordings have the same device and column: {', '.join(devices)}")
    return series_table(tuple(names))


def days_to_shift(last_ms: int, limit_ms: int) -> int:
    """Return the greatest number of whole days by which `last_ms` can be moved and stay at or before `limit_ms`.

    Whole days keep the time of day, and with it a daily cycle.

    >>> days_to_shift(0, 3 * 86_400_000 + 5)
    3
    """
    return (limit_ms - last_ms) // DAY_MS


def replay_packs(
    recordings: Sequence[Recording], table: SeriesTable, *, grid_ms: int, shift_ms: int = 0, gateway: int = 0
) -> Iterator[Dated]:
    """Yield the readings of all recordings as one gateway's: a pack a (recording, cell), due at the cell's end.

    `table` is `recording_table` of the same recordings. Empty cells make no pack.
    """
    firsts = np.cumsum([0] + [len(recording.columns) for recording in recordings])
    ready = []
    for recording, first in zip(recordings, firsts, strict=False):
        times = recording.times + shift_ms
        cells = times // grid_ms
        edges = np.flatnonzero(np.diff(cells)) + 1
        for part in np.split(np.arange(times.size), edges):
            due = int(cells[part[0]] + 1) * grid_ms
            wide = np.full((part.size, int(firsts[-1])), np.nan)
            wide[:, first : first + len(recording.columns)] = recording.values[part]
            for _, draft in cut(times[part], wide, table.id, CELL_READINGS):
                ready.append(Dated(due, gateway, draft))
    ready.sort(key=lambda dated: dated.due_ms)
    yield from ready
