"""Reading records from Kafka: committed ones alone, forwards as they come, or backwards block by block."""

import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from connectors.kit.kafka import client_options
from connectors.kit.service import Unreachable
from connectors.kit.settings import KafkaSettings
from deploy.records.filters import Filters
from deploy.records.order import newest_first
from deploy.records.record import Place, Record, RecordsError

if TYPE_CHECKING:
    from confluent_kafka import Message

ANSWER_S = 5.0
"""A Kafka that is not there is reported after this, not waited for."""
POLL_S = 0.5
"""How soon Ctrl-C is noticed while nothing comes."""
STALL_S = 15.0
"""A block of which nothing comes for so long is a Kafka that went away."""

Spans = dict[int, tuple[int, int]]
"""Partition → offset of the oldest record and the one after the newest."""


class Reader:
    """Reads topics. It commits nothing, so it disturbs nobody."""

    def __init__(self, kafka: KafkaSettings) -> None:
        from confluent_kafka import Consumer

        self._bootstrap = kafka.bootstrap
        self._consumer = Consumer(
            client_options(kafka)
            | {
                "group.id": "tidemark-tail",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 100,  # how soon a partition's end is told
                "log_level": 0,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def spans(self, topic: str, since_ms: int | None = None) -> Spans:
        """Return what each partition holds now, from the first record that can be of `since_ms` or later.

        Raises
        ------
        Unreachable
            If Kafka doesn't answer.
        RecordsError
            If the topic doesn't exist.
        """
        from confluent_kafka import KafkaException, TopicPartition

        try:
            found = self._consumer.list_topics(topic, timeout=ANSWER_S).topics[topic]
            if found.error is not None:
                raise RecordsError(f"{topic} does not exist at {self._bootstrap}; tidemark up creates it")
            places = [TopicPartition(topic, number) for number in found.partitions]
            spans = {one.partition: self._consumer.get_watermark_offsets(one, timeout=ANSWER_S) for one in places}
            if since_ms is None or not spans:
                return spans
            asked = [TopicPartition(topic, number, max(0, since_ms)) for number in spans]
            first = {one.partition: one.offset for one in self._consumer.offsets_for_times(asked, timeout=ANSWER_S)}
        except KafkaException as error:
            reason = error.args[0].str()
            raise Unreachable(
                f"Kafka at {self._bootstrap} does not answer ({reason}); is it up? tidemark status"
            ) from error
        # A negative offset: every record is older.
        return {
            number: (max(low, first[number]) if first[number] >= 0 else high, high)
            for number, (low, high) in spans.items()
        }

    def block(self, topic: str, partition: int, low: int, high: int) -> list[Record]:
        """Return the records from `low` to `high` (exclusive) that are still there.

        Raises
        ------
        Unreachable
            If Kafka stops answering.
        """
        from confluent_kafka import TopicPartition

        self._consumer.assign([TopicPartition(topic, partition, low)])
        records: list[Record] = []
        deadline = time.monotonic() + STALL_S
        while True:
            message = self._consumer.poll(POLL_S)
            if message is None:
                if time.monotonic() > deadline:
                    raise Unreachable(f"Kafka at {self._bootstrap} gave no more of {topic} for {STALL_S:.0f} s")
                continue
            if message.error() is not None:
                if _is_end(message):
                    return records
                continue  # told at the deadline, if it does not pass
            if message.offset() >= high:
                return records
            records.append(_record(message))
            if message.offset() == high - 1:
                return records
            deadline = time.monotonic() + STALL_S

    def newest_first(self, topic: str, filters: Filters) -> Iterator[Record]:
        """Yield the records of a topic that are of the wanted time, the newest first.

        Raises
        ------
        Unreachable, RecordsError
            As `spans` and `block`.
        """
        spans = self.spans(topic, filters.since_ms)
        for record in newest_first(spans, lambda partition, low, high: self.block(topic, partition, low, high)):
            if filters.takes_stamp(record.stamp_ms):
                yield record

    def one(self, place: Place) -> Record:
        """Return the record at a place.

        Raises
        ------
        RecordsError
            If there is none.
        """
        spans = self.spans(place.topic)
        if place.partition not in spans:
            raise RecordsError(f"{place}: {place.topic} has no partition {place.partition}, only 0 to {len(spans) - 1}")
        low, high = spans[place.partition]
        found = self.block(place.topic, place.partition, place.offset, place.offset + 1) if low <= place.offset else []
        if place.offset >= high or not found or found[0].place != place:
            held = f"offsets {low} to {high - 1}" if high > low else "nothing"
            raise RecordsError(f"{place} is not there: partition {place.partition} of {place.topic} holds {held} now")
        return found[0]

    def forwards(self, topic: str, begin: dict[int, int], ends: Spans | None) -> Iterator[Record]:
        """Yield records from the offsets `begin` on as they come; with `ends`, up to there."""
        from confluent_kafka import TopicPartition

        self._consumer.assign([TopicPartition(topic, number, offset) for number, offset in begin.items()])
        left = None if ends is None else {number for number, offset in begin.items() if offset < ends[number][1]}
        while left is None or left:
            message = self._consumer.poll(POLL_S)
            if message is None:
                continue
            if message.error() is not None:
                if not _is_end(message):
                    print(f"tidemark: {message.error().str()}", file=sys.stderr)
                elif left is not None:
                    left.discard(message.partition())
                continue
            end = None if ends is None else ends[message.partition()][1]
            if end is None or message.offset() < end:
                yield _record(message)
            if left is not None and end is not None and message.offset() >= end - 1:
                left.discard(message.partition())


def _is_end(message: "Message") -> bool:
    from confluent_kafka import KafkaError

    return bool(message.error().code() == KafkaError._PARTITION_EOF)  # noqa: SLF001 - the library's name for it


def _record(message: Any) -> Record:
    _kind, stamp_ms = message.timestamp()
    headers = tuple((name, value) for name, value in message.headers() or [] if value is not None)
    place = Place(message.topic(), message.partition(), message.offset())
    return Record(place, stamp_ms, message.value(), message.key(), headers)
