"""What a gateway and the bridge say to each other over MQTT: packs, status, acknowledgements."""

from typing import Annotated, ClassVar, Literal

import msgspec

from connectors.wire.series import Name

MAX_READINGS = 4096
"""Readings a pack: keeps one MQTT message well under the broker's 64 KiB packet limit, and one bad pack small."""

Whole = Annotated[int, msgspec.Meta(ge=0)]
Sequence = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
BootId = Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z_-]{1,64}$")]


class Pack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Readings that a gateway sends at once, in columns. One reading is a pack of one. JSON or MessagePack.

    The columns have equal length, from 1 to `MAX_READINGS`; a pack that breaks this is dead-lettered whole.
    A single reading may be bad (value null or not finite, impossible time, series index outside the table): then that
    reading alone is dead-lettered.

    Attributes
    ----------
    boot
        Drawn anew whenever the gateway's outbox is created; sequence numbers count within it.
    seq
        1, 2, 3 … without gaps in a boot, given when the pack is committed to the outbox.
    table
        Id of the `SeriesTable` that `series` points into.
    base_ms
        Base time, milliseconds since 1970 UTC, by the device's clock: reading i is of `base_ms + offsets_ms[i]`.
    offsets_ms, series, values
        One entry a reading. `series` are indexes into the table.
    quality
        One entry a reading: 0 good, 1 uncertain, 2 bad (OPC UA's severities); empty means all good. A bad reading is
        kept and counted but not judged by detectors.
    """

    VERSION: ClassVar[int] = 1
    v: int = 1
    boot: BootId
    seq: Sequence
    table: str
    base_ms: float | int
    offsets_ms: list[float | int | None]
    series: list[int]
    values: list[float | None]
    quality: list[int] = []


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway's state, retained on `…/status`; `offline` is its MQTT will."""

    VERSION: ClassVar[int] = 1
    v: int = 1
    state: Literal["online", "offline"]
    boot: BootId
    client: str = ""
    since_ms: int


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """The bridge to the gateway, retained on `…/ack`: every pack of `boot` up to and with `seq` is in Kafka."""

    VERSION: ClassVar[int] = 1
    v: int = 1
    boot: BootId
    seq: Whole


SENT_MS = "sent_ms"
"""MQTT user property of a publish: the device's clock at sending, milliseconds since 1970 UTC."""

OLDEST_SEQ = "oldest_seq"
"""MQTT user property of a publish: the lowest sequence number still in the outbox.

It tells a bridge that knows nothing of this boot where the gap-free run begins: what is below is acknowledged already.
"""

__all__ = ["MAX_READINGS", "OLDEST_SEQ", "SENT_MS", "Ack", "BootId", "Name", "Pack", "Sequence", "Status", "Whole"]
