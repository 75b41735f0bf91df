"""What form a payload has, or why no mapping can read it."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from connectors.mapping.discover.heard import MAX_PAYLOAD
from connectors.mapping.discover.leaves import Path, expression, is_number, is_reading, leaves
from connectors.mapping.refusal import Refusal, quoted
from connectors.mapping.senml import resolve

Kind = Literal["object", "rows", "senml", "number"]

_SENML = frozenset("bn bt bu bv bs bver n u v vs vb vd s t ut".split())
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x78\x9c": "zlib", b"PK": "zip"}


@dataclass(frozen=True, slots=True)
class Form:
    """A payload that a mapping can read.

    Attributes
    ----------
    each
        JMESPath of the list of items, for rows.
    items
        What the readings are in.
    """

    kind: Kind
    message: Any
    items: list[Any]
    each: str = ""


class Unreadable(Exception):
    """A payload that no mapping can read; the message says what was seen and why."""


def form_of(topic: str, payload: bytes) -> Form:
    """Return a payload's form.

    Raises
    ------
    Unreadable
        If it has none that a mapping can read.
    """
    if topic.startswith("spBv1.0/"):
        raise Unreadable("Sparkplug B: its payloads are Protocol Buffers, and a mapping reads JSON or text")
    if not payload:
        raise Unreadable("an empty message, which clears what was retained")
    if len(payload) > MAX_PAYLOAD:
        raise Unreadable(f"more than {MAX_PAYLOAD} bytes, which the bridge refuses")
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        packed = next((name for magic, name in _MAGIC.items() if payload.startswith(magic)), "")
        what = f"compressed by {packed}" if packed else "binary"
        raise Unreadable(f"{what}: {len(payload)} bytes that are no text") from None
    if is_number(text):
        return Form("number", text, [text])
    try:
        message = msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError):
        raise Unreadable(f"the text {quoted(text)}, which is neither JSON nor a number") from None
    return _json_form(message)


def _json_form(message: Any) -> Form:
    if isinstance(message, list):
        return _list_form(message)
    if not isinstance(message, dict):
        raise Unreadable(f"the JSON value {quoted(message)}, which is no number")
    rows = [(path, value) for path, value in leaves(message) if _is_rows(value)]
    if rows:
        path, value = max(rows, key=lambda one: len(one[1]))
        return Form("rows", message, value, expression(path))
    found = leaves(message)
    if any(is_reading(path, value) for path, value in found):
        return Form("object", message, [message])
    raise Unreadable(_no_number(found))


def _list_form(message: list[Any]) -> Form:
    objects = [item for item in message if isinstance(item, dict)]
    if objects and len(objects) == len(message):
        if all(_SENML.issuperset(item) for item in objects) and any("n" in item or "bn" in item for item in objects):
            try:
                return Form("senml", message, resolve(message))
            except Refusal as refusal:
                raise Unreadable(f"like SenML, but {refusal.detail}") from None
        if _is_rows(message):
            return Form("rows", message, message, "@")
        raise Unreadable(f"a list of objects without numbers: {quoted(message)}")
    if message and all(is_number(item) for item in message):
        raise Unreadable(f"a list of numbers without names: {quoted(message)}")
    raise Unreadable(f"a list that is none of objects: {quoted(message)}")


def _is_rows(value: Any) -> bool:
    """Whether a leaf is a list of objects that have numbers."""
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        return False
    return any(is_reading(path, inner) for item in value for path, inner in leaves(item))


def _no_number(found: list[tuple[Path, Any]]) -> str:
    encoded = [path for path, value in found if isinstance(value, str) and _is_encoded(value)]
    if encoded:
        return f"JSON without a number in it; {expression(encoded[0])} seems to be encoded (base64 or hexadecimal)"
    lists = [path for path, value in found if isinstance(value, list) and any(map(_holds_number, value))]
    if lists:
        return (
            f"JSON whose numbers lie in lists without names ({expression(lists[0])}); a mapping needs a name for each"
        )
    words = ", ".join(expression(path) for path, _ in found[:5])
    return f"JSON without a number in it ({words or 'it is empty'})"


def _holds_number(item: Any) -> bool:
    return is_number(item) or (isinstance(item, list) and any(map(is_number, item)))


def _is_encoded(text: str) -> bool:
    alphabet = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
    return len(text) >= 12 and set(text) <= alphabet and any(char.isdigit() or char in "+/=" for char in text)
