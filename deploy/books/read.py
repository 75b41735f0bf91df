"""The topics' side of the books: every record there is, read committed, up to the end at the time of asking."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from connectors.kit.kafka import consumer
from connectors.kit.settings import KafkaSettings
from connectors.wire import topics
from connectors.wire.alert import AlertEvent
from connectors.wire.ledger import DeadLetter, LateReadings
from connectors.wire.summary import WindowSummary
from connectors.wire.versions import from_msgpack
from deploy.books.entries import Entries
from deploy.books.keys import BooksError

_STALL_S = 30.0
"""A broker that gives nothing for so long, though the end is not reached, is given up: a transaction that is left open
holds back what comes after it, and waiting for it would never end."""

_END_OF_PARTITION = -191
"""librdkafka's RD_KAFKA_RESP_ERR__PARTITION_EOF, which confluent-kafka names as if it were private."""

Take = Callable[[Any], None]


def read_topics(kafka: KafkaSettings, names: Sequence[str], take: Take, stall_s: float = _STALL_S) -> None:
    """Give `take` every message of the topics, in the order of each partition.

    Raises
    ------
    BooksError
        If a topic is missing, or the broker stops giving before the end.
    """
    from confluent_kafka import TopicPartition

    reader = consumer(kafka, "tidemark-books", enable_partition_eof=True, fetch_wait_max_ms=50)
    try:
        known = reader.list_topics(timeout=10).topics
        missing = [name for name in names if name not in known or known[name].error]
        if missing:
            raise BooksError(f"Kafka has no topic {', '.join(missing)}")
        partitions = [TopicPartition(name, number, 0) for name in names for number in known[name].partitions]
        reader.assign(partitions)
        _drain(reader, {(one.topic, one.partition) for one in partitions}, take, stall_s)
    finally:
        reader.close()


def _drain(reader: Any, open_ends: set[tuple[str, int]], take: Take, stall_s: float) -> None:
    last = time.monotonic()
    while open_ends:
        batch = reader.consume(num_messages=2000, timeout=0.5)
        if batch:
            last = time.monotonic()
        elif time.monotonic() - last > stall_s:
            raise BooksError(f"Kafka gave nothing for {stall_s:.0f} s, {sorted(open_ends)[0]} is not at its end")
        for message in batch:
            error = message.error()
            if error is None:
                take(message)
            elif error.code() == _END_OF_PARTITION:
                open_ends.discard((message.topic(), message.partition()))
            elif not error.retriable():
                raise BooksError(f"reading {message.topic()}: {error}")


class _EventId(msgspec.Struct):
    event_id: str


def event_id_of(message: Any) -> str:
    """Return the id of an alert event; the header, which CloudEvents' readers use, must say the same as the body.

    Raises
    ------
    BooksError
        If it doesn't.
    """
    headers = dict(message.headers() or [])
    inside = _EVENT.decode(message.value()).event_id
    if headers.get("ce_id", b"").decode() != inside:
        raise BooksError(f"alert event {inside} has ce_id {headers.get('ce_id')!r}")
    return inside


_EVENT = msgspec.json.Decoder(_EventId)


def enter_topics(entries: Entries, kafka: KafkaSettings) -> list[AlertEvent]:
    """Enter readings, summaries, late readings, dead letters and alert events; return the events, in topic order."""
    events: list[AlertEvent] = []
    decode = msgspec.json.Decoder(AlertEvent).decode

    def alert(message: Any) -> None:
        entries.alert_events.append(event_id_of(message))
        events.append(decode(message.value()))

    takers: dict[str, Take] = {
        topics.READINGS: lambda m: entries.record(m.value(), m.partition(), m.offset()),
        topics.WINDOW_SUMMARIES: lambda m: entries.summaries.add(from_msgpack(WindowSummary, m.value())),
        topics.LATE_READINGS: lambda m: entries.late_readings(from_msgpack(LateReadings, m.value())),
        topics.DEAD_LETTERS: lambda m: entries.dead.add(from_msgpack(DeadLetter, m.value())),
        topics.ALERT_EVENTS: alert,
    }
    # Topic by topic, downstream first: what is judged while we read was received before, so it can't look invented.
    for name in (
        topics.ALERT_EVENTS,
        topics.WINDOW_SUMMARIES,
        topics.LATE_READINGS,
        topics.DEAD_LETTERS,
        topics.READINGS,
    ):
        read_topics(kafka, [name], takers[name])
    return events
