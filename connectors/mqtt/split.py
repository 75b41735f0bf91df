"""Splitting a pack at the grid: every part lies within one cell and keeps its readings' places in the pack."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectors.mqtt.check import Checked
from connectors.wire.pack import Pack
from connectors.wire.record import Part

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part with its cell and its earliest event time."""

    cell_ms: int
    earliest_ms: int
    part: Part


@dataclass(frozen=True, slots=True)
class Origin:
    """Where and when a pack came."""

    site: str
    gateway: str
    received_ms: int


def split(origin: Origin, pack: Pack, checked: Checked, grid_ms: int) -> list[Piece]:
    """Split the good readings of a pack at the grid, in order of cells; the same pack is always split the same way."""
    times = checked.times
    if times.size == 0:
        return []
    cells = times // grid_ms
    if cells[0] == cells[-1] and (cells == cells[0]).all():
        groups: list[Rows] = [np.arange(times.size)]
    else:
        order = np.argsort(cells, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(cells[order])) + 1)
    return [_piece(origin, pack, checked, grid_ms, rows) for rows in groups]


def _piece(origin: Origin, pack: Pack, checked: Checked, grid_ms: int, rows: Rows) -> Piece:
    times = checked.times[rows]
    cell_ms = int(times[0]) // grid_ms * grid_ms
    index = checked.index[rows]
    quality = checked.quality[rows] if checked.quality.size else checked.quality
    part = Part(
        site=origin.site,
        gateway=origin.gateway,
        boot=pack.boot,
        seq=pack.seq,
        received_ms=origin.received_ms,
        table=pack.table,
        offsets=(times - cell_ms).astype("<u4").tobytes(),
        series=checked.series[rows].astype("<u4").tobytes(),
        values=checked.values[rows].astype("<f8").tobytes(),
        quality=quality.tobytes() if quality.any() else b"",
        index=b""
        if index[-1] == index.size - 1 and index[0] == 0 and _ascends(index)
        else index.astype("<u4").tobytes(),
    )
    return Piece(cell_ms, int(times.min()), part)


def _ascends(index: NDArray[np.uint32]) -> bool:
    return bool((np.diff(index.astype(np.int64)) == 1).all())
