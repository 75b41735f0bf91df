"""What a dead letter's bytes say, as far as anyone can tell."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from connectors.wire.ledger import DeadLetter
from connectors.wire.topics import KAFKA_TOPICS, GatewayTopic, parse_gateway_topic
from deploy.local.decode import decode_value, text_or_base64
from deploy.records.subjects import Names, SeriesOf, Subject, no_tables, series_subjects, subjects_of, table_names

_TOPICS = frozenset(topic.name for topic in KAFKA_TOPICS)


class Decoded(NamedTuple):
    """A payload as plain values.

    Attributes
    ----------
    form
        `json`, `msgpack`, `text` or `binary`; it is a file's ending too.
    value
        None for `binary`.
    """

    form: str
    value: Any


def decode_payload(letter: DeadLetter) -> Decoded:
    """Decode a letter's payload as what its source holds, else as JSON, MessagePack or text, else not at all."""
    found = _generic(letter.payload)
    topic = kafka_topic(letter.source)
    if topic and found.form != "binary":
        value = decode_value(topic, letter.payload)
        if not (isinstance(value, Mapping) and "unreadable" in value):
            return Decoded(found.form, value)
    return found


def kafka_topic(source: str) -> str:
    """Return the Kafka topic that a letter's source begins with; "" if it came over MQTT.

    >>> kafka_topic("tidemark.readings.v1/3/17-20"), kafka_topic("tidemark/v1/plant/gw/packs")
    ('tidemark.readings.v1', '')
    """
    topic = source.partition("/")[0]
    return topic if topic in _TOPICS else ""


def mqtt_topic(source: str) -> GatewayTopic | None:
    """Return the MQTT topic that a letter came on; None if it came from elsewhere."""
    return parse_gateway_topic(source)


def letter_subjects(letter: DeadLetter, series_of: SeriesOf = no_tables) -> list[Subject]:
    """Return what a letter is about: by its source, its own fields, and its payload as far as that can be read."""
    came_on = mqtt_topic(letter.source)
    found = _mqtt_subjects(letter, came_on, series_of) if came_on else _kafka_subjects(letter, series_of)
    return found or [Subject(came_on.site if came_on else "", letter.gateway)]


def _mqtt_subjects(letter: DeadLetter, came_on: GatewayTopic, series_of: SeriesOf) -> list[Subject]:
    where = (came_on.site, letter.gateway or came_on.gateway)
    value = _generic(letter.payload).value
    if not isinstance(value, Mapping):
        return [Subject(*where)]
    if came_on.kind == "series":
        return [Subject(*where, *name) for name in _names_in(value)] or [Subject(*where)]
    indexes = value.get("series")
    indexes = indexes if isinstance(indexes, list) else []
    if letter.indexes:
        indexes = [indexes[place] for place in letter.indexes if place < len(indexes)]
    return series_subjects(where, indexes, series_of(str(value.get("table", ""))))


def _kafka_subjects(letter: DeadLetter, series_of: SeriesOf) -> list[Subject]:
    topic = kafka_topic(letter.source)
    if not topic:
        return []
    found = subjects_of(topic, None, decode_value(topic, letter.payload), series_of)
    own = [subject for subject in found if subject.gateway == letter.gateway]
    return own if letter.gateway else found


def _names_in(table: Mapping[str, Any]) -> Names:
    try:
        return table_names(table)
    except (TypeError, KeyError, IndexError):  # it is in a dead letter because it is no table
        return ()


def _generic(data: bytes) -> Decoded:
    for form, decode in (("json", msgspec.json.decode), ("msgpack", msgspec.msgpack.decode)):
        try:
            value = decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            continue
        # Nearly any byte is a number in MessagePack; that says nothing.
        if form == "json" or isinstance(value, dict | list):
            return Decoded(form, jsonable(value))
    text = text_or_base64(data)
    return Decoded("text", text) if isinstance(text, str) else Decoded("binary", None)


def jsonable(value: Any) -> Any:
    """Return a value that JSON can hold: keys as text, bytes as text or base64, no number that is none.

    >>> jsonable({1: [float("nan"), b"ab"]})
    {'1': [None, 'ab']}
    """
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, bytes):
        return text_or_base64(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | bool | int) else str(value)
