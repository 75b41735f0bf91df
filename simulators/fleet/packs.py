"""Cutting a fleet's readings into packs, each with the time at which a gateway would send it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.device.draft import Draft
from simulators.fleet.fleet import Fleet

CELL_READINGS = 3_000
"""Readings a pack, at most, where a whole cell is asked for: MessagePack of as many stays under a broker's 64 KiB."""

_BLOCK_READINGS = 200_000
"""Readings computed at once: enough that numpy's calls don't count, few enough that memory doesn't."""


@dataclass(frozen=True, slots=True)
class Dated:
    """A draft of gateway number `gateway`, to be sent once the clock shows `due_ms`."""

    due_ms: int
    gateway: int
    draft: Draft


def cut(times: NDArray[np.int64], values: NDArray[np.float64], table: str, pack: int) -> Iterator[tuple[int, Draft]]:
    """Cut rows of readings into packs and yield each with the time of its last reading.

    Parameters
    ----------
    times
        Event time of each row, ms, ascending, shape (rows,).
    values
        Shape (rows, series); NaN where there is no reading.
    table
        Id of the series table whose entries are the columns.
    pack
        Readings a pack; the last one may have fewer.
    """
    rows, columns = np.nonzero(~np.isnan(values))
    stamps = times[rows]
    kept = values[rows, columns]
    for first in range(0, kept.size, pack):
        part = slice(first, first + pack)
        base = int(stamps[first])
        offsets = (stamps[part] - base).tolist()
        yield base + offsets[-1], Draft(table, base, offsets, columns[part].tolist(), kept[part].tolist())


def cell_packs(fleet: Fleet, first_gateway: int = 0) -> Iterator[Dated]:
    """Yield a pack a (gateway, window), due at the window's end, in order of time.

    A cell of more than `CELL_READINGS` readings makes several packs.
    """
    for window, times, values in _windows(fleet):
        due = fleet.start_ms + (window + 1) * fleet.window_ms
        for place, gateway in enumerate(fleet.gateways, start=first_gateway):
            own = values[:, gateway.first : gateway.last]
            for _, draft in cut(times, own, gateway.table.id, CELL_READINGS):
                yield Dated(due, place, draft)


def stream_packs(fleet: Fleet, pack: int, first_gateway: int = 0) -> Iterator[Dated]:
    """Yield packs of `pack` readings (the last of a window may have fewer), due when their last reading was made.

    Gateways read in turn, evenly spread over the time between two readings, so that a fleet doesn't speak in chorus.
    """
    interval = fleet.window_ms / fleet.readings_per_window
    for _, times, values in _windows(fleet):
        ready = []
        for place, gateway in enumerate(fleet.gateways):
            phase = int(interval * place / len(fleet.gateways))
            own = values[:, gateway.first : gateway.last]
            for due, draft in cut(times + phase, own, gateway.table.id, pack):
                ready.append(Dated(due, first_gateway + place, draft))
        ready.sort(key=lambda dated: dated.due_ms)
        yield from ready


def _windows(fleet: Fleet) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
    """Yield (window, times, values) of each window, computed in blocks."""
    a_window = fleet.readings_per_window * fleet.columns
    block = max(1, _BLOCK_READINGS // a_window)
    for first in range(0, fleet.windows, block):
        count = min(block, fleet.windows - first)
        times, values = fleet.times(first, count), fleet.block(first, count)
        for place in range(count):
            yield first + place, times[place], values[place]
