"""Records of Tidemark's topics as plain values: columns of bytes become lists of numbers, structs become objects."""

import base64
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from connectors.wire.ledger import DeadLetter, LateReadings
from connectors.wire.record import Part, decode_record
from connectors.wire.summary import WindowSummary
from connectors.wire.topics import DEAD_LETTERS, KAFKA_TOPICS, LATE_READINGS, READINGS, WINDOW_SUMMARIES
from connectors.wire.versions import WireError, from_msgpack

_PART = {"offsets": "<u4", "series": "<u4", "values": "<f8", "quality": "u1", "index": "<u4"}
_SUMMARY = {
    "series": "<u4",
    "count": "<u4",
    **dict.fromkeys(("first", "last", "minimum", "maximum", "mean", "spread"), "<f8"),
    "score": "<f4",
    "learning": "u1",
}
COLUMNS: dict[type, dict[str, str]] = {Part: _PART, WindowSummary: _SUMMARY}
"""Event class → field → numpy's name of the numbers in it."""

_DECODERS: dict[str, Callable[[bytes], Any]] = {
    READINGS: decode_record,
    LATE_READINGS: lambda data: from_msgpack(LateReadings, data),
    DEAD_LETTERS: lambda data: from_msgpack(DeadLetter, data),
    WINDOW_SUMMARIES: lambda data: from_msgpack(WindowSummary, data),
}


def full_name(topic: str) -> str:
    """Return the topic that a name or a short name stands for.

    Raises
    ------
    ValueError
        If there is none; the message lists the short names.

    >>> full_name("readings"), full_name("tidemark.rules.v1")
    ('tidemark.readings.v1', 'tidemark.rules.v1')
    """
    names = [known.name for known in KAFKA_TOPICS]
    for name in names:
        if topic in (name, short_name(name)):
            return name
    raise ValueError(f"no topic is called {topic}; there are {', '.join(map(short_name, names))}")


def short_name(topic: str) -> str:
    """Return a topic's name without what all have.

    >>> short_name("tidemark.alert-events.v1")
    'alert-events'
    """
    return topic.removeprefix("tidemark.").removesuffix(".v1")


def decode_value(topic: str, data: bytes | None) -> Any:
    """Return a record's value as plain values; None for a tombstone.

    What can't be read is shown as it is, with the reason.
    """
    if data is None:
        return None
    try:
        return plain(_DECODERS[topic](data)) if topic in _DECODERS else msgspec.json.decode(data)
    except (WireError, msgspec.DecodeError, ValueError) as error:
        return {"unreadable": str(error), "bytes": text_or_base64(data)}


def plain(value: Any) -> Any:
    """Turn structs into objects, their columns into lists of numbers, and other bytes into text or base64."""
    if isinstance(value, msgspec.Struct):
        columns = COLUMNS.get(type(value), {})
        return {
            name: numbers(content, columns[name]) if name in columns else plain(content)
            for name, content in ((field, getattr(value, field)) for field in value.__struct_fields__)
        }
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return text_or_base64(value)
    return value


def numbers(column: bytes, kind: str) -> list[float | None]:
    """Return a column as a list of numbers, None for what is no number.

    Raises
    ------
    ValueError
        If the bytes are no whole number of entries.
    """
    array = np.frombuffer(column, kind)
    if array.dtype.kind != "f":
        return array.tolist()  # type: ignore[no-any-return]
    # A `<f4` is shown by its own shortest digits, not by those of the double next to it.
    shown = [float(str(entry)) for entry in array] if array.dtype.itemsize == 4 else array.tolist()
    return [entry if np.isfinite(entry) else None for entry in shown]


def text_or_base64(data: bytes) -> Any:
    """Return bytes as text where they are UTF-8 without control characters, else as base64."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
    if text.isprintable() or all(char.isprintable() or char in "\n\r\t" for char in text):
        return text
    return {"base64": base64.b64encode(data).decode()}
