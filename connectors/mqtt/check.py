"""Checking a pack's columns: which readings are good, and what is wrong with the others. No loop over readings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectors.wire.ledger import DeadReason
from connectors.wire.pack import MAX_READINGS, Pack

YEAR_2000_MS = 946_684_800_000

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Refused(Exception):
    """A payload that is dead as a whole.

    Attributes
    ----------
    boot, seq, readings
        What could be read of it; "" and 0 where nothing could.
    """

    def __init__(self, reason: DeadReason, detail: str, boot: str = "", seq: int = 0, readings: int = 0) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: DeadReason = reason
        self.detail = detail
        self.boot = boot
        self.seq = seq
        self.readings = readings


@dataclass(frozen=True)
class DeadReadings:
    """Readings of a pack that are bad for one reason; `indexes` are their places in it."""

    reason: DeadReason
    indexes: list[int]


@dataclass(frozen=True)
class Checked:
    """The good readings of a pack, in their order, and the dead ones.

    Attributes
    ----------
    times
        `(good,)` int64, event time in milliseconds.
    series
        `(good,)` uint32, indexes into the table.
    values
        `(good,)` float64, finite.
    quality
        `(good,)` uint8, or empty when all are good.
    index
        `(good,)` uint32, places in the pack.
    """

    times: NDArray[np.int64]
    series: NDArray[np.uint32]
    values: Floats
    quality: NDArray[np.uint8]
    index: NDArray[np.uint32]
    dead: list[DeadReadings]


def check_shape(pack: Pack) -> int:
    """Return the number of readings.

    Raises
    ------
    Refused
        `columns-differ` or `too-many-readings`.
    """
    readings = len(pack.values)
    lengths = (len(pack.offsets_ms), len(pack.series), readings, len(pack.quality) or readings)
    if readings == 0 or min(lengths) != max(lengths):
        detail = "columns offsets_ms, series, values, quality have lengths {}, {}, {}, {}".format(*lengths)
        raise Refused("columns-differ", detail, pack.boot, pack.seq)
    if readings > MAX_READINGS:
        raise Refused("too-many-readings", f"{readings}; at most {MAX_READINGS}", pack.boot, pack.seq, readings)
    return readings


def check(pack: Pack, series_count: int, received_ms: int, future_limit_ms: int) -> Checked:
    """Part the good readings of a pack from the dead.

    Parameters
    ----------
    pack
        Whose shape was checked.
    series_count
        Entries of its series table.
    received_ms, future_limit_ms
        A reading stamped later than their sum is dead.
    """
    with np.errstate(all="ignore"):
        times = np.floor(_number(pack.base_ms) + _column(pack.offsets_ms))
    series = _column(pack.series)
    values = _column(pack.values)
    quality = _column(pack.quality) if pack.quality else np.zeros(0)
    latest = received_ms + future_limit_ms
    fine = (times >= YEAR_2000_MS) & (times <= latest) & (series >= 0) & (series < series_count) & np.isfinite(values)
    if fine.all() and not quality.any():  # Nearly every pack; the rest of this function says what is wrong with others.
        every = np.arange(values.size, dtype=np.uint32)
        return Checked(times.astype(np.int64), series.astype(np.uint32), values, np.zeros(0, np.uint8), every, [])
    faults: list[tuple[DeadReason, Flags]] = [
        ("bad-time", ~((times >= YEAR_2000_MS) & np.isfinite(times))),
        ("future-time", times > latest),
        ("unknown-series", ~((series >= 0) & (series < series_count))),
        ("bad-value", ~np.isfinite(values)),
    ]
    if quality.size:
        faults.append(("bad-quality", ~((quality == 0) | (quality == 1) | (quality == 2))))
    bad, dead = _part(faults)
    good = np.flatnonzero(~bad)
    return Checked(
        times=times[good].astype(np.int64),
        series=series[good].astype(np.uint32),
        values=values[good],
        quality=quality[good].astype(np.uint8) if quality.size else np.zeros(0, np.uint8),
        index=good.astype(np.uint32),
        dead=dead,
    )


def _part(faults: list[tuple[DeadReason, Flags]]) -> tuple[Flags, list[DeadReadings]]:
    """Count each bad reading once, under the first reason that fits."""
    bad = np.zeros(faults[0][1].shape, np.bool_)
    dead = []
    for reason, flags in faults:
        fresh = flags & ~bad
        if fresh.any():
            dead.append(DeadReadings(reason, np.flatnonzero(fresh).tolist()))
            bad |= fresh
    return bad, dead


def _column(items: Sequence[float | None]) -> Floats:
    """Return a column as floats; null becomes NaN."""
    try:
        return np.array(items, np.float64)
    except OverflowError:
        # An integer beyond a float's range: rare and always bad, so it may cost a loop.
        return np.array([_number(item) for item in items], np.float64)


def _number(item: float | None) -> float:
    try:
        return float("nan") if item is None else float(item)
    except OverflowError:
        return float("nan")
