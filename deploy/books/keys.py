"""Identities as 64-bit numbers, so that nine million readings are one sort away from each other."""

from typing import NewType

import numpy as np
import numpy.typing as npt

from connectors.wire.mapped import MAPPED_BOOT
from connectors.wire.pack import MAX_READINGS

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

INDEX_BITS = 12
SEQ_BITS = 36
STREAM_BITS = 16

StreamId = NewType("StreamId", int)


class BooksError(Exception):
    """The books can't be kept: an identity is beyond what they can number, or a source can't be read."""


class Streams:
    """Numbers for (gateway, boot), given in the order in which they are first seen."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], StreamId] = {}
        self._mapped: list[bool] = []
        self.names: list[tuple[str, str]] = []

    def id(self, gateway: str, boot: str) -> StreamId:
        """Return the number of a stream.

        Raises
        ------
        BooksError
            With more than 65,536 streams.
        """
        known = self._ids.get((gateway, boot))
        if known is not None:
            return known
        if len(self.names) >> STREAM_BITS:
            raise BooksError(f"more than {1 << STREAM_BITS} pairs of gateway and boot in one set of books")
        new = StreamId(len(self.names))
        self._ids[gateway, boot] = new
        self._mapped.append(boot == MAPPED_BOOT)
        self.names.append((gateway, boot))
        return new

    def mapped(self, packs: U64) -> npt.NDArray[np.bool_]:
        """Whether each pack is a mapped reading, `(packs,)`: no device has a ledger of it, and its number no order."""
        flags: npt.NDArray[np.bool_] = np.array(self._mapped, bool)[streams_of(packs)]
        return flags


def pack_key(stream: int, seq: int) -> int:
    """Return the key of a pack: stream and sequence number side by side.

    >>> pack_key(1, 2) == (1 << 36) + 2
    True

    Raises
    ------
    BooksError
        For a sequence number of more than 36 bits, which a pack a millisecond reaches after two years.
    """
    if not 0 <= seq < 1 << SEQ_BITS:
        raise BooksError(f"sequence number {seq} is beyond the {SEQ_BITS} bits that the books keep")
    return (stream << SEQ_BITS) | seq


def mapped_place(seq: int) -> tuple[int, int]:
    """Return sequence number and index by which the books know a mapped reading, whose number has 48 bits.

    It is a pack of one, so the bits that number the readings of other packs are free.

    >>> mapped_place(0xABC_DEF)
    (2748, 3567)
    """
    return seq >> INDEX_BITS, seq & ((1 << INDEX_BITS) - 1)


def reading_keys(packs: U64, index: npt.NDArray[np.uint32]) -> U64:
    """Return the keys of readings, shape of `packs`: the pack's key and the reading's place in the pack."""
    if len(index) and int(index.max()) >= MAX_READINGS:
        raise BooksError(f"a reading's index {int(index.max())} is beyond the {MAX_READINGS} that a pack may hold")
    keys: U64 = (packs << np.uint64(INDEX_BITS)) | index.astype(np.uint64)
    return keys


def packs_of(readings: U64) -> U64:
    """Return the keys of the packs that readings belong to."""
    packs: U64 = readings >> np.uint64(INDEX_BITS)
    return packs


def streams_of(packs: U64) -> I64:
    """Return the streams that packs belong to."""
    return (packs >> np.uint64(SEQ_BITS)).astype(np.int64)


def seqs_of(packs: U64) -> I64:
    """Return the sequence numbers of packs."""
    return (packs & np.uint64((1 << SEQ_BITS) - 1)).astype(np.int64)


def member(keys: U64, among: U64) -> npt.NDArray[np.bool_]:
    """Whether each of `keys` is in `among`, which is sorted."""
    if not len(among):
        return np.zeros(len(keys), bool)
    at = np.searchsorted(among, keys)
    at[at == len(among)] = 0
    found: npt.NDArray[np.bool_] = among[at] == keys
    return found
