"""Reading packs and status messages, and saying what is wrong with those that can't be read."""

import re
from typing import Any

import msgspec

from connectors.mqtt.check import Refused
from connectors.wire.ledger import DeadReason
from connectors.wire.pack import Pack, Status
from connectors.wire.versions import WireError, from_either

MAX_DIGITS = 16
"""A user property with more digits is no time and no sequence number; keeps `int` away from a megabyte of digits."""

_BOOT = re.compile("[0-9A-Za-z_-]{1,64}")


class _Glance(msgspec.Struct):
    """What may be read of a payload that is not what it should be."""

    boot: Any = ""
    seq: Any = 0
    site: Any = None
    gateway: Any = None
    values: Any = None


_GLANCE_JSON = msgspec.json.Decoder(_Glance)
_GLANCE_MSGPACK = msgspec.msgpack.Decoder(_Glance)


def read_pack(payload: bytes, site: str, gateway: str) -> Pack:
    """Decode a pack that came on the topic of `site` and `gateway`.

    Raises
    ------
    Refused
        `malformed`, `unknown-version`, or `topic-mismatch` when the payload names another site or gateway.
    """
    try:
        return from_either(Pack, payload)
    except WireError as error:
        reason = _reason(error)
        glance = _glance(payload)
        boot, seq, readings = _identity(glance)
        for field, told, said in (("site", site, glance.site), ("gateway", gateway, glance.gateway)):
            if said is not None and said != told:
                detail = f"payload names {field} {str(said)[:80]!r} on the topic of {told!r}"
                raise Refused("topic-mismatch", detail, boot, seq, readings) from error
        raise Refused(reason, error.detail[:400], boot, seq, readings) from error


def read_status(payload: bytes) -> Status:
    """Decode a gateway's status. Raises `Refused`."""
    try:
        return from_either(Status, payload)
    except WireError as error:
        raise Refused(_reason(error), error.detail[:400]) from error


def _reason(error: WireError) -> DeadReason:
    return "unknown-version" if error.reason == "unknown-version" else "malformed"


def whole(text: str | None) -> int | None:
    """Return a user property as a whole number, or None if it is none."""
    if text is None:
        return None
    digits = text[1:] if text[:1] == "-" else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > MAX_DIGITS:
        return None
    return int(text)


def _glance(payload: bytes) -> _Glance:
    for decoder in (_GLANCE_JSON, _GLANCE_MSGPACK):
        try:
            return decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # Not this encoding either; what is no known encoding has no identity.
    return _Glance()


def _identity(glance: _Glance) -> tuple[str, int, int]:
    # A boot id that no device can have would be acknowledged in a message that no device can read.
    boot = glance.boot if isinstance(glance.boot, str) and _BOOT.fullmatch(glance.boot) else ""
    seq = glance.seq if isinstance(glance.seq, int) and 1 <= glance.seq <= 2**53 else 0
    readings = len(glance.values) if isinstance(glance.values, list) else 0
    return boot, seq, readings
