"""From records of the readings topic to distinct readings in columns, in an order that no packing changes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from connectors.wire.ledger import DeadLetter, DeadReason
from connectors.wire.pack import MAX_READINGS
from connectors.wire.record import UNREADABLE, Heartbeat, Part, Readings, encode_record
from connectors.wire.series import SeriesTable, is_genuine


class _Lazy(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="r"):
    """`Readings` with its tables left as bytes: most are known already, and names are the slowest part to decode."""

    v: int = 1
    cell_ms: int
    parts: list[Part]
    tables: list[msgspec.Raw] = []


class _TableId(msgspec.Struct):
    id: str


_RECORD = msgspec.msgpack.Decoder(_Lazy | Heartbeat)
_TABLE_ID = msgspec.msgpack.Decoder(_TableId)
_TABLE = msgspec.msgpack.Decoder(SeriesTable)

_NATURAL = np.arange(MAX_READINGS, dtype="<u4").tobytes()
"""The indexes of a part that names none."""

CellPart = tuple[str, str, int, int, Part]
"""Gateway, boot, sequence number, start of the cell, part: sorts by identity."""

Source = tuple[int, int, str]
"""Start and end of the window (or cell), and what to call the source in a dead letter."""


@dataclass
class Gathered:
    """What a window's records hold, before anything is looked up.

    Attributes
    ----------
    parts
        Distinct parts by identity, sorted; copies are dropped, or united by index where they differ.
    tables
        Tables that were not known, by id.
    duplicates
        Readings in copies.
    """

    parts: list[CellPart] = field(default_factory=list)
    tables: dict[str, SeriesTable] = field(default_factory=dict)
    observed: bool = False
    duplicates: int = 0
    dead: list[DeadLetter] = field(default_factory=list)


def gather(records: Iterable[bytes], known: Iterable[str], source: Source) -> Gathered:
    """Decode records and drop duplicates; what can't be decoded becomes a dead letter.

    `known` are the ids of tables that need no decoding.
    """
    found = Gathered()
    distinct: dict[tuple[str, str, int, int], Part] = {}
    copies: dict[tuple[str, str, int, int], list[Part]] = {}
    letters = Letters(source, found.dead)
    ids = frozenset(known)
    for data in records:
        try:
            record = _RECORD.decode(data)
        except UNREADABLE as error:
            letters.record(data, "malformed", str(error))
            continue
        if record.v != 1:
            letters.record(data, "unknown-version", f"readings record version {record.v}; this build knows 1")
            continue
        if isinstance(record, Heartbeat):
            found.observed = found.observed or source[0] <= record.time_ms < source[1]
            continue
        for raw in record.tables:
            _learn(raw, ids, found.tables, letters)
        cell_ms = record.cell_ms
        if not source[0] <= cell_ms < source[1]:
            for part in record.parts:
                cell = (part.gateway, part.boot, part.seq, cell_ms, part)
                letters.part(cell, "bad-time", f"cell {cell_ms} lies outside its window")
            continue
        for part in record.parts:
            identity = (part.gateway, part.boot, part.seq, cell_ms)
            if distinct.setdefault(identity, part) is not part:
                copies.setdefault(identity, []).append(part)
    for identity, others in copies.items():
        distinct[identity], extra = united([distinct[identity], *others])
        found.duplicates += extra
    # Identities are distinct, so the parts themselves are never compared.
    found.parts = sorted([(*identity, part) for identity, part in distinct.items()])
    return found


def _learn(raw: msgspec.Raw, known: frozenset[str], tables: dict[str, SeriesTable], letters: "Letters") -> None:
    """Decode a table that isn't known yet, into `tables`."""
    try:
        name = _TABLE_ID.decode(raw).id
        if name in known or name in tables:
            return
        table = _TABLE.decode(raw)
    except UNREADABLE as error:
        letters.record(bytes(raw), "bad-table", str(error))
        return
    if is_genuine(table):
        tables[name] = table
    else:
        letters.record(bytes(raw), "bad-table", f"series table {name} is not the hash of its content")


def united(copies: Sequence[Part]) -> tuple[Part, int]:
    """Return the union of a part's copies by index, and how many readings the others repeat.

    Copies are equal unless something upstream split a pack in two ways; then each index counts once, and which copy
    gives it doesn't depend on their order.
    """
    first = copies[0]
    if all(_content(copy) == _content(first) for copy in copies):
        return first, sum(len(copy.values) // 8 for copy in copies[1:])
    usable = sorted((copy for copy in copies if not column_problem(copy)), key=_content)
    if not usable:
        return min(copies, key=_content), 0
    table = usable[0].table
    rows = np.concatenate([_rows(copy) for copy in usable if copy.table == table])
    rows = rows[np.lexsort([rows[name] for name in reversed(rows.dtype.names or ())])]
    kept = rows[np.r_[True, rows["index"][1:] != rows["index"][:-1]]]
    columns = {name: kept[name].tobytes() for name in kept.dtype.names or ()}
    total = sum(len(copy.values) // 8 for copy in usable)
    return msgspec.structs.replace(usable[0], **columns), total - kept.size


def _content(part: Part) -> tuple[str, bytes, bytes, bytes, bytes, bytes, str]:
    """What two copies of a part must have in common, and the order of those that have not."""
    return part.table, part.index, part.offsets, part.series, part.values, part.quality, part.site


_ROW = np.dtype([("index", "<u4"), ("offsets", "<u4"), ("series", "<u4"), ("values", "<f8"), ("quality", "u1")])


def _rows(part: Part) -> NDArray[Any]:
    """Return a part's readings as records, with index and quality written out."""
    count = len(part.values) // 8
    rows = np.zeros(count, _ROW)
    for name in ("offsets", "series", "values"):
        rows[name] = np.frombuffer(getattr(part, name), _ROW[name])
    rows["index"] = np.frombuffer(part.index, "<u4") if part.index else np.arange(count)
    if part.quality:
        rows["quality"] = np.frombuffer(part.quality, "u1")
    return rows


def column_problem(part: Part) -> str:
    """Say how a part's columns differ in length; "" if they don't."""
    size = len(part.values)
    if size == 2 * len(part.series) == 2 * len(part.offsets) and size and not (size & 7 or part.quality or part.index):
        return ""  # nearly every part: this runs once a part
    count, rest = divmod(len(part.values), 8)
    wrong = rest or not count or len(part.offsets) != 4 * count or len(part.series) != 4 * count
    if wrong or len(part.quality) not in (0, count) or len(part.index) not in (0, 4 * count):
        lengths = (len(part.offsets), len(part.series), len(part.values), len(part.quality), len(part.index))
        return f"columns of {lengths} bytes (offsets, series, values, quality, index)"
    return ""


@dataclass(frozen=True)
class Columns:
    """Readings of many parts, one after the other, each part's by rising index.

    Attributes
    ----------
    lengths
        Readings of each part.
    offset_ms, series, value
        One entry a reading.
    good
        Whether the reading may be judged; None if all may.
    """

    lengths: NDArray[np.int64]
    offset_ms: NDArray[np.int64]
    series: NDArray[np.int64]
    value: NDArray[np.float64]
    good: NDArray[np.bool_] | None


def columns(parts: Sequence[Part]) -> Columns:
    """Join the columns of `parts`, whose lengths must agree. No loop over readings."""
    lengths = np.array([len(part.values) for part in parts], np.int64) // 8
    offsets = np.frombuffer(b"".join([part.offsets for part in parts]), "<u4").astype(np.int64)
    series = np.frombuffer(b"".join([part.series for part in parts]), "<u4").astype(np.int64)
    values = np.frombuffer(b"".join([part.values for part in parts]), "<f8")
    good = None
    if any([part.quality for part in parts]):
        filled = [part.quality or bytes(len(part.values) // 8) for part in parts]
        good = np.frombuffer(b"".join(filled), "u1") < 2
    joined = Columns(lengths, offsets, series, values, good)
    return _by_index(joined, parts) if any([part.index for part in parts]) else joined


def _by_index(joined: Columns, parts: Sequence[Part]) -> Columns:
    """Put each part's readings in order of their index, should they not be; a repeated index is left for the
    counts.
    """
    natural = (part.index or _natural(len(part.values) // 8) for part in parts)
    index = np.frombuffer(b"".join(natural), "<u4").astype(np.int64)
    owner = np.repeat(np.arange(len(parts)), joined.lengths)
    if not ((np.diff(index) <= 0) & (np.diff(owner) == 0)).any():
        return joined
    order = np.lexsort((index, owner))
    good = None if joined.good is None else joined.good[order]
    return Columns(joined.lengths, joined.offset_ms[order], joined.series[order], joined.value[order], good)


def _natural(count: int) -> bytes:
    return _NATURAL[: 4 * count] if count <= MAX_READINGS else np.arange(count, dtype="<u4").tobytes()


@dataclass(frozen=True)
class Letters:
    """Writes dead letters about what a window held; deterministic, so that a replay writes the same."""

    source: Source
    letters: list[DeadLetter]

    def record(self, data: bytes, reason: DeadReason, detail: str) -> None:
        """Give up a whole record, or a table in one."""
        self.letters.append(
            DeadLetter(
                service="job",
                reason=reason,
                detail=detail,
                source=self.source[2],
                received_ms=self.source[1],
                payload=data,
            )
        )

    def part(self, cell: CellPart, reason: DeadReason, detail: str, indexes: Sequence[int] = ()) -> None:
        """Give up a part, or only some of its readings."""
        gateway, boot, seq, cell_ms, part = cell
        self.letters.append(
            DeadLetter(
                service="job",
                reason=reason,
                detail=detail,
                source=self.source[2],
                received_ms=part.received_ms,
                payload=encode_record(Readings(cell_ms=cell_ms, parts=[part])),
                gateway=gateway,
                boot=boot,
                seq=seq,
                indexes=list(indexes),
                readings=len(indexes) or len(part.values) // 8,
            )
        )
