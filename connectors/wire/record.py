"""What lies on `tidemark.readings.v1`: parts of packs within one cell of the grid, and heartbeats.

Columns are little-endian bytes, so that a worker joins and views them without a loop over readings.
"""

from typing import ClassVar

import msgspec

from connectors.wire.series import SeriesTable
from connectors.wire.versions import WireError


# The garbage collector need not follow it (`gc=False`): it holds no containers, and there are thousands a window.
class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The readings of one pack that lie in one cell. `(gateway, boot, seq, cell_ms of the record)` is its identity.

    Attributes
    ----------
    received_ms
        Wall or injected clock of the bridge when the pack arrived.
    table
        Id of the series table.
    offsets
        `<u4`, milliseconds since the record's `cell_ms`.
    series
        `<u4`, indexes into the table.
    values
        `<f8`, finite.
    quality
        `u1`; empty means all good.
    index
        `<u4`, the readings' places in the original pack; empty means 0 … n-1.
    """

    site: str
    gateway: str
    boot: str
    seq: int
    received_ms: int
    table: str
    offsets: bytes
    series: bytes
    values: bytes
    quality: bytes = b""
    index: bytes = b""


class Readings(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="r"):
    """Parts of one Kafka partition and one cell, with the series tables that this record is first to need.

    Attributes
    ----------
    cell_ms
        Start of the cell, a multiple of the grid; every reading's event time is in `[cell_ms, cell_ms + grid_ms)`.
    tables
        Tables that no earlier record of this cell carried for the same gateway.
    """

    VERSION: ClassVar[int] = 1
    v: int = 1
    cell_ms: int
    parts: list[Part]
    tables: list[SeriesTable] = []


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="h"):
    """The bridge was connected to the broker at `time_ms` (event time), and all it received before is in Kafka."""

    VERSION: ClassVar[int] = 1
    v: int = 1
    time_ms: int
    bridge: str


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that it can't decode; the last two for text that isn't UTF-8, and endless nesting."""

_DECODER = msgspec.msgpack.Decoder(Readings | Heartbeat)
_ENCODER = msgspec.msgpack.Encoder()


def decode_record(data: bytes) -> Readings | Heartbeat:
    """Decode one record of the readings topic.

    Raises
    ------
    WireError
        `malformed`, or `unknown-version` for a record of a later Tidemark.
    """
    try:
        record: Readings | Heartbeat = _DECODER.decode(data)
    except UNREADABLE as error:
        raise WireError("malformed", f"readings record: {error}") from error
    if record.v != 1:
        raise WireError("unknown-version", f"readings record version {record.v}; this build knows 1")
    return record


def encode_record(record: Readings | Heartbeat) -> bytes:
    """Encode one record of the readings topic."""
    return _ENCODER.encode(record)
