"""What Kafka holds from before this start: series tables, how far event time had come, clock alerts that stand."""

from collections.abc import Iterator
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connectors.kit.kafka import consumer
from connectors.kit.service import Unreachable
from connectors.kit.settings import KafkaSettings, Settings
from connectors.mqtt.heartbeat import Past
from connectors.mqtt.receipts import Written
from connectors.mqtt.skew import Active, still_active
from connectors.mqtt.tables import TableStore
from connectors.wire.alert import AlertEvent
from connectors.wire.mapped import MAPPED_BOOT
from connectors.wire.record import Heartbeat, decode_record
from connectors.wire.series import SeriesTable, is_genuine
from connectors.wire.topics import ALERT_EVENTS, READINGS, SERIES_TABLES
from connectors.wire.versions import WireError, from_json

ANSWER_SECONDS = 10.0
"""How long Kafka may take to answer at the start before the bridge gives up and says so."""

TAIL_RECORDS = 500
"""Records read from the end of each partition of readings: enough to find its newest heartbeat under load."""

TAIL_ALERTS = 10_000
"""Alert events read from the end of each partition: bounds the start, and a clock alert is seldom older."""

GROUP = "tidemark-bridge-start"
"""A name that the consumer must have; nothing is committed under it."""


def load_tables(kafka: KafkaSettings) -> TableStore:
    """Return every genuine series table of the compacted topic."""
    tables = []
    for message in _read(kafka, SERIES_TABLES, None):
        try:
            table = from_json(SeriesTable, message.value() or b"")
        except WireError:
            continue  # Of a later Tidemark, or a tombstone: unknown here, and a pack that needs it says so.
        if is_genuine(table):
            tables.append(table)
    return TableStore(tables)


def load_past(settings: Settings) -> tuple[Past, list[Written]]:
    """Return the newest heartbeat and stamp of each partition, as far as its end shows them, and its mapped readings.

    Raises
    ------
    Unreachable
        Kafka does not answer, or the topic's partitions are not the shards of the settings.
    """
    stamped: dict[int, int] = {}
    newest: dict[int, int] = {}
    written: list[Written] = []
    for message in _read(settings.kafka, READINGS, TAIL_RECORDS, settings.topics.shards):
        shard = message.partition()
        newest[shard] = max(newest.get(shard, 0), message.timestamp()[1])
        try:
            record = decode_record(message.value() or b"")
        except WireError:
            continue  # The job makes a dead letter of it; here only heartbeats matter.
        if isinstance(record, Heartbeat):
            stamped[shard] = max(stamped.get(shard, 0), record.time_ms)
            continue
        mapped = (part for part in record.parts if part.boot == MAPPED_BOOT)
        written.extend(Written(part.gateway, part.seq, part.received_ms) for part in mapped)
    return Past(stamped, newest), written


def load_skewed(kafka: KafkaSettings) -> dict[str, Active]:
    """Return the clock alerts that stand."""
    events = []
    for message in _read(kafka, ALERT_EVENTS, TAIL_ALERTS):
        try:
            events.append(msgspec.json.decode(message.value() or b"", type=AlertEvent))
        except msgspec.DecodeError:
            continue  # Not ours to judge; a clock alert is written by this code.
    return still_active(sorted(events, key=lambda event: event.window_end_ms))


def _read(kafka: KafkaSettings, topic: str, tail: int | None, partitions: int | None = None) -> Iterator[Any]:
    """Yield a topic's records up to its end, of each partition at most the last `tail`."""
    # A short wait, because the end of an empty partition is told by an answer without records.
    reader = consumer(kafka, GROUP, enable_partition_eof=True, fetch_wait_max_ms=10)
    try:
        places = _places(reader, topic, tail, partitions, kafka.bootstrap)
        reader.assign(places)
        left = len(places)
        while left:
            message = reader.poll(ANSWER_SECONDS)
            if message is None:
                raise Unreachable(f"Kafka at {kafka.bootstrap} stopped answering while {topic} was read")
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's name for it
                left -= 1
            elif not error.retriable():
                raise Unreachable(f"{topic} can't be read from Kafka at {kafka.bootstrap}: {error.str()}")
    finally:
        reader.close()


def _places(
    reader: Consumer, topic: str, tail: int | None, partitions: int | None, bootstrap: str
) -> list[TopicPartition]:
    try:
        found = reader.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic]
        if found.error is not None:
            raise Unreachable(f"Kafka at {bootstrap} has no topic {topic}; `tidemark up` creates it")
        if partitions is not None and len(found.partitions) != partitions:
            raise Unreachable(f"{topic} has {len(found.partitions)} partitions, but topics.shards is {partitions}")
        places = []
        for number in found.partitions:
            low, high = reader.get_watermark_offsets(TopicPartition(topic, number), timeout=ANSWER_SECONDS)
            places.append(TopicPartition(topic, number, low if tail is None else max(low, high - tail)))
    except KafkaException as error:
        raise Unreachable(f"Kafka at {bootstrap}: {error.args[0].str()}") from error
    return places
