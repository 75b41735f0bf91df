"""Versioned events: decode today's version fast, lift older ones to it, refuse what is newer.

Each event is a `msgspec.Struct` with a class variable `VERSION` and a field `v`. A payload of an older version is
decoded as a plain dict, passed through one upcaster a version, and converted; so the code elsewhere knows today's
shape alone.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TypeVar

import msgspec


class WireError(ValueError):
    """A payload that can't be read; `reason` is one of a closed set and serves as a metric label."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Versioned(Protocol):
    """What `decode` needs of an event class."""

    VERSION: ClassVar[int]


class _Peek(msgspec.Struct):
    v: int


Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
UPCASTERS: dict[tuple[str, int], Upcaster] = {}
E = TypeVar("E", bound=msgspec.Struct)

_JSON_PEEK = msgspec.json.Decoder(_Peek)
_MSGPACK_PEEK = msgspec.msgpack.Decoder(_Peek)
_MSGPACK_ENCODER = msgspec.msgpack.Encoder()
_JSON_ENCODER = msgspec.json.Encoder()


def upcaster(event: str, from_version: int) -> Callable[[Upcaster], Upcaster]:
    """Register the function that lifts `event` (a class name) from `from_version` to the next version."""

    def register(function: Upcaster) -> Upcaster:
        UPCASTERS[event, from_version] = function
        return function

    return register


def lift(event: type[E], body: dict[str, Any], version: int) -> E:
    """Bring `body` of an older `version` up to today's and convert it.

    Raises
    ------
    WireError
        `unknown-version` if a step is missing, `malformed` if the result has not the shape of `event`.
    """
    target: int = event.VERSION  # type: ignore[attr-defined]
    for step in range(version, target):
        lifter = UPCASTERS.get((event.__name__, step))
        if lifter is None:
            raise WireError("unknown-version", f"{event.__name__} version {step} has no upcaster")
        body = lifter(body)
    try:
        return msgspec.convert(body, event)
    except msgspec.ValidationError as error:
        raise WireError("malformed", str(error)) from error


def _decode(event: type[E], data: bytes, peek: Any, decoder: Any, plain: Callable[[bytes], Any]) -> E:
    try:
        version = peek.decode(data).v
        target: int = event.VERSION  # type: ignore[attr-defined]
        if version == target:
            return decoder.decode(data)  # type: ignore[no-any-return]
        if version > target or version < 1:
            raise WireError("unknown-version", f"{event.__name__} version {version}; this build knows 1 to {target}")
        return lift(event, plain(data), version)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError("malformed", f"{event.__name__}: {error}") from error


_JSON_DECODERS: dict[type, Any] = {}
_MSGPACK_DECODERS: dict[type, Any] = {}


def from_json(event: type[E], data: bytes) -> E:
    """Decode JSON of any known version of `event`. Raises `WireError`."""
    decoder = _JSON_DECODERS.get(event) or _JSON_DECODERS.setdefault(event, msgspec.json.Decoder(event))
    return _decode(event, data, _JSON_PEEK, decoder, msgspec.json.decode)


def from_msgpack(event: type[E], data: bytes) -> E:
    """Decode MessagePack of any known version of `event`. Raises `WireError`."""
    decoder = _MSGPACK_DECODERS.get(event) or _MSGPACK_DECODERS.setdefault(event, msgspec.msgpack.Decoder(event))
    return _decode(event, data, _MSGPACK_PEEK, decoder, msgspec.msgpack.decode)


def from_either(event: type[E], data: bytes) -> E:
    """Decode JSON or MessagePack, told apart by the first byte: an event is a JSON object or a MessagePack map."""
    if data[:1] in (b"{", b" ", b"\n", b"\t", b"\r"):
        return from_json(event, data)
    return from_msgpack(event, data)


def to_json(event: msgspec.Struct) -> bytes:
    """Encode `event` as JSON."""
    return _JSON_ENCODER.encode(event)


def to_msgpack(event: msgspec.Struct) -> bytes:
    """Encode `event` as MessagePack."""
    return _MSGPACK_ENCODER.encode(event)
