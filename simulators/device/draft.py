"""Readings on their way into the outbox: a pack that has no number yet."""

from dataclasses import dataclass
from typing import Literal

from connectors.wire.pack import MAX_READINGS, Pack
from connectors.wire.versions import to_json, to_msgpack

Encoding = Literal["json", "msgpack"]


class PackTooLarge(ValueError):
    """A pack that the broker would refuse for ever, and with it all that come after."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Readings of one gateway, in columns of equal length; see `Pack`."""

    table: str
    base_ms: int
    offsets_ms: list[float | int | None]
    series: list[int]
    values: list[float | None]
    quality: list[int] | None = None


def encode(draft: Draft, boot: str, seq: int, encoding: Encoding, limit_bytes: int) -> bytes:
    """Return the payload of pack number `seq`.

    Raises
    ------
    PackTooLarge
        If the payload exceeds `limit_bytes`, or the readings `MAX_READINGS`: checked before the outbox, because a
        broker that refuses a packet closes the connection, and a pack that can't pass would block those behind it.
    """
    if not draft.values or not len(draft.offsets_ms) == len(draft.series) == len(draft.values):
        msg = "a pack has columns of equal length, and at least one reading"
        raise ValueError(msg)
    if len(draft.values) > MAX_READINGS:
        raise PackTooLarge(f"{len(draft.values)} readings; a pack holds at most {MAX_READINGS}")
    pack = Pack(
        boot=boot,
        seq=seq,
        table=draft.table,
        base_ms=draft.base_ms,
        offsets_ms=draft.offsets_ms,
        series=draft.series,
        values=draft.values,
        quality=draft.quality or [],
    )
    payload = to_msgpack(pack) if encoding == "msgpack" else to_json(pack)
    if len(payload) > limit_bytes:
        raise PackTooLarge(f"{len(payload)} bytes for {len(draft.values)} readings; the limit is {limit_bytes}")
    return payload
