"""What a window must hold, in plain Python: dictionaries, loops and `sorted`, nothing of `jobs`.

Also the same readings in any packing, so that tests can ask whether the packing matters.
"""

import math
import random
import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from connectors.wire.record import Heartbeat, Part, Readings, decode_record, encode_record
from connectors.wire.series import Series, SeriesTable, series_table
from connectors.wire.summary import WindowSummary

GRID_MS = 5_000
WINDOW_MS = 10_000


class Reading(NamedTuple):
    """One reading of a gateway, as its device made it."""

    gateway: str
    time_ms: int
    series: int
    value: float
    quality: int = 0


class Row(NamedTuple):
    """What a summary says of one series."""

    count: int
    first: float
    last: float
    minimum: float
    maximum: float
    mean: float
    spread: float


Name = tuple[str, str, str]
"""Gateway, device and quantity."""


@dataclass(frozen=True)
class Told:
    """What the oracle says of a window."""

    rows: dict[Name, Row]
    readings: int
    duplicates: int
    observed: bool


def table_of(gateway: str, series: int) -> SeriesTable:
    """The series table of a gateway; two of its series are of one device."""
    return series_table(tuple(Series(f"{gateway}-d{n // 2}", f"q{n % 2}", "Cel") for n in range(series)))


def tell(records: Iterable[bytes], tables: Iterable[SeriesTable], start_ms: int, end_ms: int) -> Told:
    """Judge a window's records."""
    names = {table.id: table.series for table in tables}
    distinct: dict[tuple[str, str, int, int, int], tuple[int, Name, float, int]] = {}
    copies = 0
    observed = False
    for record in map(decode_record, records):
        if isinstance(record, Heartbeat):
            observed = observed or start_ms <= record.time_ms < end_ms
            continue
        for part in record.parts:
            for index, time_ms, place, value, quality in _unpacked(record.cell_ms, part):
                key = (part.gateway, part.boot, part.seq, record.cell_ms, index)
                copies += key in distinct
                series = names[part.table][place]
                distinct[key] = (time_ms, (part.gateway, series.device, series.quantity), value, quality)
    by_name: dict[Name, list[tuple[int, tuple[str, str, int, int, int], float, int]]] = defaultdict(list)
    for key, (time_ms, name, value, quality) in distinct.items():
        by_name[name].append((time_ms, key, value, quality))
    rows = {name: _row(sorted(readings)) for name, readings in by_name.items()}
    return Told(rows, len(distinct), copies, observed)


def _unpacked(cell_ms: int, part: Part) -> Iterable[tuple[int, int, int, float, int]]:
    count = len(part.values) // 8
    offsets, series = struct.unpack(f"<{count}I", part.offsets), struct.unpack(f"<{count}I", part.series)
    values = struct.unpack(f"<{count}d", part.values)
    quality = tuple(part.quality) or (0,) * count
    index = struct.unpack(f"<{count}I", part.index) if part.index else tuple(range(count))
    return [(index[n], cell_ms + offsets[n], series[n], values[n], quality[n]) for n in range(count)]


def _row(readings: Sequence[tuple[int, tuple[str, str, int, int, int], float, int]]) -> Row:
    values = [value for _, _, value, quality in readings if quality < 2]
    if not values:
        return Row(len(readings), *[math.nan] * 6)
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    spread = math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else 0.0
    return Row(len(readings), values[0], values[-1], min(values), max(values), mean, spread)


def summary_rows(summary: WindowSummary, tables: Iterable[SeriesTable]) -> dict[Name, Row]:
    """Unpack a summary's columns."""
    names = {table.id: table.series for table in tables}
    total = sum(group.rows for group in summary.groups)
    owners = [(group.gateway, group.table) for group in summary.groups for _ in range(group.rows)]
    series = struct.unpack(f"<{total}I", summary.series)
    counts = struct.unpack(f"<{total}I", summary.count)
    columns = [
        struct.unpack(f"<{total}d", column)
        for column in (summary.first, summary.last, summary.minimum, summary.maximum, summary.mean, summary.spread)
    ]
    rows = {}
    for at, (gateway, table) in enumerate(owners):
        one = names[table][series[at]]
        rows[gateway, one.device, one.quantity] = Row(counts[at], *(column[at] for column in columns))
    return rows


def equal_rows(one: Row, other: Row) -> bool:
    """Whether two rows are equal: sums to the last few bits, everything else exactly."""
    if one.count != other.count or math.isnan(one.mean) != math.isnan(other.mean):
        return False
    if math.isnan(one.mean):
        return True
    exact = one[:5] == other[:5]
    scale = max(abs(one.minimum), abs(one.maximum), 1e-300)
    near = all(abs(a - b) <= 1e-9 * scale for a, b in zip(one[5:], other[5:], strict=True))
    return exact and near


@dataclass(frozen=True)
class Packing:
    """How readings travel: readings a pack, whether packs go across cells, in what order, and how often twice."""

    size: int
    across: bool = False
    shuffled: int | None = None
    repeats: float = 0.0
    parts_a_record: int = 3


def pack_readings(readings: Sequence[Reading], tables: dict[str, SeriesTable], packing: Packing) -> list[list[bytes]]:
    """Return the records of each window, from window 0, as a bridge could write them; a gateway sends in order."""
    parts: list[tuple[int, Part]] = []
    for gateway in sorted({one.gateway for one in readings}):
        own = [one for one in readings if one.gateway == gateway]
        for seq, pack in enumerate(_packs(own, packing), start=1):
            parts += _split(gateway, seq, pack, tables[gateway].id)
    last = max((one.time_ms for one in readings), default=0)
    windows: list[list[bytes]] = [[] for _ in range(last // WINDOW_MS + 1)]
    chance = random.Random(packing.shuffled or 0)
    if packing.repeats:
        parts += [one for one in parts if chance.random() < packing.repeats]
    for cell_ms in sorted({cell for cell, _ in parts}):
        here = [part for cell, part in parts if cell == cell_ms]
        if packing.shuffled is not None:
            chance.shuffle(here)
        for at in range(0, len(here), packing.parts_a_record):
            some = here[at : at + packing.parts_a_record]
            carried = {tables[part.gateway].id: tables[part.gateway] for part in some}
            record = Readings(cell_ms=cell_ms, parts=some, tables=list(carried.values()))
            windows[cell_ms // WINDOW_MS].append(encode_record(record))
    for number, records in enumerate(windows):
        records.append(encode_record(Heartbeat(time_ms=number * WINDOW_MS, bridge="b")))
        if packing.shuffled is not None:
            chance.shuffle(records)
    return windows


def _packs(readings: Sequence[Reading], packing: Packing) -> Iterable[list[Reading]]:
    """Cut readings into packs; unless they go across, a new cell begins a new pack."""
    pack: list[Reading] = []
    for one in readings:
        new_cell = pack and pack[-1].time_ms // GRID_MS != one.time_ms // GRID_MS
        if len(pack) == packing.size or (new_cell and not packing.across):
            yield pack
            pack = []
        pack.append(one)
    if pack:
        yield pack


def _split(gateway: str, seq: int, pack: Sequence[Reading], table: str) -> list[tuple[int, Part]]:
    """Cut a pack at the grid, keeping the readings' places in it."""
    cells: dict[int, list[tuple[int, Reading]]] = defaultdict(list)
    for index, one in enumerate(pack):
        cells[one.time_ms // GRID_MS * GRID_MS].append((index, one))
    return [
        (cell, part_of(gateway, "boot", seq, table, cell, members, len(cells) > 1)) for cell, members in cells.items()
    ]


def part_of(
    gateway: str, boot: str, seq: int, table: str, cell_ms: int, members: Sequence[tuple[int, Reading]], indexed: bool
) -> Part:
    """Return readings, with their places in the pack, as a part."""
    count = len(members)
    return Part(
        site="test",
        gateway=gateway,
        boot=boot,
        seq=seq,
        received_ms=0,
        table=table,
        offsets=struct.pack(f"<{count}I", *(one.time_ms - cell_ms for _, one in members)),
        series=struct.pack(f"<{count}I", *(one.series for _, one in members)),
        values=struct.pack(f"<{count}d", *(one.value for _, one in members)),
        quality=bytes(one.quality for _, one in members) if any(one.quality for _, one in members) else b"",
        index=struct.pack(f"<{count}I", *(index for index, _ in members)) if indexed else b"",
    )
