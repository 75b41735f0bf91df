"""From readings to one row of features a series, by sorting and reducing: the same bits whatever the packing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.detectors.base import Bools, Features, Floats

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Readings:
    """Distinct readings of a window, in the order (gateway, boot, sequence number, cell, index).

    Attributes
    ----------
    row, place
        The shard's row, and where in the directory the reading was seen.
    time_ms
        Since the window's start.
    value
        In the series' unit, finite.
    good
        Whether it may be judged; None if all may.
    """

    row: Whole
    place: Whole
    time_ms: Whole
    value: Floats
    good: Bools | None


@dataclass(frozen=True)
class Seen:
    """The rows that had readings: `rows` rising, with the number of readings and the place of each."""

    rows: Whole
    count: Whole
    place: Whole


def seen_rows(readings: Readings, span_ms: int) -> tuple[Readings, Seen]:
    """Sort readings by row and time, ties in the order they come in, and list the rows."""
    order = canonical_order(readings.row, readings.time_ms, span_ms)
    good = None if readings.good is None else readings.good[order]
    row = readings.row[order]
    ordered = Readings(row, readings.place[order], readings.time_ms[order], readings.value[order], good)
    starts = _starts(row)
    count = np.diff(starts, append=row.size)
    place = np.maximum.reduceat(ordered.place, starts) if row.size else ordered.place
    return ordered, Seen(row[starts], count, place)


def canonical_order(row: Whole, time_ms: Whole, span_ms: int) -> Whole:
    """Return the stable order by row, then time (in `[0, span_ms)`).

    Row, time and position are put into one number where they fit, because numpy sorts plain numbers several times as
    fast as it finds a stable order (0.6 ms against 4 ms for 30,000).

    >>> canonical_order(np.array([1, 0, 1]), np.array([5, 5, 3]), 10)
    array([1, 2, 0])
    """
    key = row * span_ms + time_ms
    bits = max(int(key.size - 1).bit_length(), 1)
    if not key.size or int(key.max()) >> (62 - bits):
        return np.argsort(key, kind="stable")
    packed = (key << bits) | np.arange(key.size)
    packed.sort()
    return packed & ((1 << bits) - 1)


def features_of(readings: Readings, seen: Seen, rows: int, *, observed: bool, live: Bools) -> Features:
    """Reduce readings, sorted by `seen_rows`, to features of `rows` rows."""
    count = np.zeros(rows, np.int64)
    count[seen.rows] = seen.count
    row, value = readings.row, readings.value
    if readings.good is not None:
        row, value = row[readings.good], value[readings.good]
    names = ("first", "last", "minimum", "maximum", "mean", "spread")
    columns = {name: np.full(rows, np.nan) for name in names}
    if row.size:
        starts = _starts(row)
        at = row[starts]
        for name, reduced in zip(names, _reduced(value, starts), strict=True):
            columns[name][at] = reduced
    return Features(count=count, observed=observed, live=live, **columns)


def _reduced(value: Floats, starts: Whole) -> tuple[Floats, ...]:
    """Return first, last, minimum, maximum, mean and spread of each run of `value`."""
    count = np.diff(starts, append=value.size)
    mean = np.add.reduceat(value, starts) / count
    squares = np.add.reduceat((value - np.repeat(mean, count)) ** 2, starts)
    spread = np.sqrt(squares / np.maximum(count - 1, 1))
    lowest, highest = np.minimum.reduceat(value, starts), np.maximum.reduceat(value, starts)
    return value[starts], value[starts + count - 1], lowest, highest, mean, spread


def _starts(row: Whole) -> Whole:
    """Return where each run of equal rows starts."""
    if not row.size:
        return np.zeros(0, np.int64)
    return np.concatenate([[0], np.flatnonzero(row[1:] != row[:-1]) + 1])
