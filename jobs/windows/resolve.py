"""From parts to readings with rows: tables and names are looked up here, and what has none becomes a dead letter."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from connectors.wire.ledger import DeadReason
from jobs.windows.decode import CellPart, Columns, Gathered, Letters, Source, column_problem, columns
from jobs.windows.directory import Directory
from jobs.windows.features import Readings

Whole = NDArray[np.int64]
Key = tuple[str, str]


def resolve(gathered: Gathered, directory: Directory, source: Source) -> tuple[Readings, list[CellPart]]:
    """Look up the rows of a window's readings, growing `directory`; also return the parts that were taken.

    A part with unequal columns or an unknown table is given up whole, a reading with an index beyond its table, a
    value that is not finite or a time outside the window alone; `gathered.dead` says so.
    """
    letters = Letters(source, gathered.dead)
    parts = _usable(gathered, directory, letters)
    joined = columns([part for *_, part in parts])
    base, size = _places(parts, gathered, directory)
    start_ms, end_ms, _ = source
    base_of = np.repeat(base, joined.lengths)
    time_ms = joined.offset_ms + np.repeat(
        np.array([cell for *_, cell, _ in parts], np.int64) - start_ms, joined.lengths
    )
    unknown = joined.series >= np.repeat(size, joined.lengths)
    faults: list[tuple[DeadReason, str, NDArray[np.bool_]]] = [
        ("unknown-series", "index beyond the series table", unknown),
        ("bad-value", "not finite", ~np.isfinite(joined.value)),
        ("bad-time", "outside its window", (time_ms < 0) | (time_ms >= end_ms - start_ms)),
    ]
    good = joined.good
    place, value = base_of + joined.series, joined.value
    if any(bad.any() for *_, bad in faults):
        taken = ~_give_up(parts, joined, faults, letters)
        place, time_ms, value = place[taken], time_ms[taken], value[taken]
        good = None if good is None else good[taken]
    row = directory.row_of[place]
    if (row < 0).any():
        directory.see(np.unique(place[row < 0]))
        row = directory.row_of[place]
    return Readings(row.astype(np.int64), place, time_ms, value, good), parts


def _usable(gathered: Gathered, directory: Directory, letters: Letters) -> list[CellPart]:
    """Return the parts whose columns agree and whose table is known."""
    usable = []
    for cell in gathered.parts:
        part = cell[4]
        problem = column_problem(part)
        if problem:
            letters.part(cell, "columns-differ", problem)
        elif part.table not in directory.tables and part.table not in gathered.tables:
            letters.part(cell, "unknown-table", f"series table {part.table} is neither in the window nor in the state")
        else:
            usable.append(cell)
    return usable


def _places(parts: Sequence[CellPart], gathered: Gathered, directory: Directory) -> tuple[Whole, Whole]:
    """Return base and size of each part's pair.

    New gateways, tables and pairs are numbered in order of their names, not of the packs that happen to bring them.
    """
    keys = [(cell[0], cell[4].table) for cell in parts]
    sites: dict[Key, str] = {}
    for gateway, table, site in sorted({(cell[0], cell[4].table, cell[4].site) for cell in parts}):
        sites[gateway, table] = site
    numbers: dict[Key, tuple[int, int]] = {}
    for key in sorted(sites):
        gateway, table = key
        if table in gathered.tables:
            directory.learn_table(gathered.tables[table])
        pair = directory.pairs[directory.pair_number(directory.gateway_number(sites[key], gateway), table)]
        numbers[key] = (pair.base, pair.size)
    found = np.array([numbers[key] for key in keys], np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _give_up(
    parts: Sequence[CellPart],
    joined: Columns,
    faults: Sequence[tuple[DeadReason, str, NDArray[np.bool_]]],
    letters: Letters,
) -> NDArray[np.bool_]:
    """Write a dead letter for each part and reason; a reading has one reason, the first. Return which are given
    up.
    """
    ends = np.cumsum(joined.lengths)
    given_up = np.zeros(joined.value.size, bool)
    for reason, detail, bad in faults:
        mine = bad & ~given_up
        for at in np.unique(np.searchsorted(ends, np.flatnonzero(mine), side="right")).tolist():
            begin = int(ends[at] - joined.lengths[at])
            part = parts[at][4]
            index = np.sort(np.frombuffer(part.index, "<u4")) if part.index else np.arange(joined.lengths[at])
            letters.part(parts[at], reason, detail, index[mine[begin : int(ends[at])]].tolist())
        given_up |= mine
    return given_up
