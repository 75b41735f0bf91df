"""Readings as they lie in a topic, copies included: parts of packs, gathered into arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from connectors.wire.mapped import MAPPED_BOOT
from connectors.wire.pack import MAX_READINGS
from connectors.wire.record import Part
from deploy.books.digest import reading_digests
from deploy.books.keys import I64, U64, BooksError, Streams, mapped_place, pack_key, reading_keys

U32 = npt.NDArray[np.uint32]

_ARANGE = np.arange(MAX_READINGS, dtype="<u4").tobytes()
_GOOD = bytes(MAX_READINGS)
_CHUNK = 500_000
"""Readings turned into arrays at once: keeps the raw columns that wait below some 10 MiB."""


@dataclass(frozen=True)
class Parts:
    """One row a part, in the order of the topic; all `(parts,)`."""

    pack: U64
    cell_ms: I64
    partition: I64
    offset: I64


@dataclass(frozen=True)
class Copies:
    """One row a reading, as often as the topic holds it, in the order of the topic.

    Attributes
    ----------
    keys, digests
        `(copies,)`: identity and content.
    part
        `(copies,)`: row in `parts`.
    """

    parts: Parts
    keys: U64
    digests: U64
    part: U32


@dataclass(frozen=True)
class Distinct:
    """Every reading once.

    Attributes
    ----------
    keys
        `(readings,)`, sorted.
    digests, part
        `(readings,)`: content, and the part of the first copy.
    copies
        How many readings the topic holds beyond the first of each.
    differing
        How many of those copies are not equal to the first.
    """

    keys: U64
    digests: U64
    part: U32
    copies: int
    differing: int


class Collector:
    """Takes parts one by one and makes arrays of them, chunk by chunk."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._rows: list[tuple[int, int, int, int]] = []
        self._counts: list[int] = []
        self._columns: tuple[list[bytes], ...] = ([], [], [], [], [])
        self._waiting = 0
        self._first = 0
        self._chunks: list[tuple[U64, U64, U32]] = []

    def add(self, part: Part, cell_ms: int, partition: int, offset: int) -> None:
        """Take a part of the record at `partition`/`offset`.

        Raises
        ------
        BooksError
            If its columns have different lengths or its identity can't be numbered.
        """
        count = len(part.values) // 8
        lengths = {len(part.values) / 8, len(part.offsets) / 4, len(part.series) / 4}
        lengths |= {len(part.index) / 4} if part.index else set()
        lengths |= {float(len(part.quality))} if part.quality else set()
        if lengths != {count} or count > MAX_READINGS:
            raise BooksError(f"a part of {part.gateway} seq {part.seq} has columns of unequal length")
        seq, index = part.seq, part.index
        if part.boot == MAPPED_BOOT:
            if count != 1:
                raise BooksError(f"a mapped part of {part.gateway} has {count} readings")
            seq, place = mapped_place(part.seq)
            index = place.to_bytes(4, "little")
        key = pack_key(self._streams.id(part.gateway, part.boot), seq)
        self._rows.append((key, cell_ms, partition, offset))
        self._counts.append(count)
        filled = (
            part.offsets,
            part.series,
            part.values,
            part.quality or _GOOD[:count],
            index or _ARANGE[: 4 * count],
        )
        for column, data in zip(self._columns, filled, strict=True):
            column.append(data)
        self._waiting += count
        if self._waiting >= _CHUNK:
            self._flush()

    def done(self) -> tuple[Parts, Distinct]:
        """Return all that was added, the readings once, and forget it."""
        copies = self.copies()
        return copies.parts, distinct(copies)

    def copies(self) -> Copies:
        """Return all that was added, and forget it, because twice it would be too much."""
        self._flush()
        table = list(zip(*self._rows, strict=True)) or [(), (), (), ()]
        parts = Parts(np.array(table[0], np.uint64), *(np.array(column, np.int64) for column in table[1:]))
        keys, digests, part = (_joined([chunk[at] for chunk in self._chunks]) for at in range(3))
        self._chunks, self._rows, self._first = [], [], 0
        return Copies(
            parts,
            keys.astype(np.uint64, copy=False),
            digests.astype(np.uint64, copy=False),
            part.astype(np.uint32, copy=False),
        )

    def _flush(self) -> None:
        if not self._counts:
            return
        offsets, series, values, quality, index = (b"".join(column) for column in self._columns)
        rows = self._rows[self._first :]
        counts = np.array(self._counts)
        packs = np.repeat(np.array([row[0] for row in rows], np.uint64), counts)
        times = np.repeat(np.array([row[1] for row in rows], np.int64), counts) + np.frombuffer(offsets, "<u4")
        places = np.frombuffer(index, "<u4")
        digests = reading_digests(
            places, times, np.frombuffer(series, "<u4"), np.frombuffer(values, "<f8"), np.frombuffer(quality, "u1")
        )
        part = np.repeat(np.arange(self._first, len(self._rows), dtype=np.uint32), counts)
        self._chunks.append((reading_keys(packs, places), digests, part))
        self._first, self._waiting, self._counts = len(self._rows), 0, []
        for column in self._columns:
            column.clear()


def _joined(chunks: list[npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
    return np.concatenate(chunks) if chunks else np.empty(0, np.uint64)


def distinct(copies: Copies) -> Distinct:
    """Drop the copies: of each reading the first in the topic stays."""
    order = np.argsort(copies.keys, kind="stable")
    keys, digests, part = copies.keys[order], copies.digests[order], copies.part[order]
    del order
    first = np.ones(len(keys), bool)
    first[1:] = keys[1:] != keys[:-1]
    if first.all():
        return Distinct(keys, digests, part, 0, 0)
    leader = np.maximum.accumulate(np.where(first, np.arange(len(keys)), 0))
    differing = int(np.count_nonzero(digests != digests[leader]))
    return Distinct(keys[first], digests[first], part[first], int(np.count_nonzero(~first)), differing)
