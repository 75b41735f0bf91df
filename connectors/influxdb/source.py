"""The writer's side of Kafka: records in, offsets committed when all they became is written."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from connectors.influxdb.batch import Record
from connectors.kit.service import Unreachable

POLL_SECONDS = 0.5
"""While InfluxDB is down Kafka is polled this often: a consumer silent for five minutes loses its partitions."""

_PASSING = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT)  # noqa: SLF001


class Source:
    """Reads topics in a consumer group.

    Parameters
    ----------
    consumer
        `connectors.kit.kafka.consumer(…)`.
    stopping
        Ends waits early.
    """

    def __init__(self, consumer: Any, topics: Iterable[str], log: Any, stopping: Callable[[], bool]) -> None:
        self._consumer = consumer
        self._log = log
        self._stopping = stopping
        self._backlog: list[Record] = []
        self._paused = False
        self.is_assigned = False
        """Whether Kafka gave us partitions; a plain value, because only its own thread may ask the consumer."""
        consumer.subscribe(list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def read(self, most: int, wait_seconds: float) -> list[Record]:
        """Return up to `most` records, waiting so long for them to gather."""
        if self._paused:
            self._consumer.resume(self._consumer.assignment())
            self._paused = False
        records, self._backlog = self._backlog, []
        return records + self._records(self._consumer.consume(num_messages=most, timeout=wait_seconds))

    def wait(self, seconds: float) -> bool:
        """Wait without reading on, staying a member of the group; False if the service stops meanwhile."""
        deadline = time.monotonic() + seconds
        while not self._stopping() and (left := deadline - time.monotonic()) > 0:
            # Again each time: a rebalance meanwhile brings partitions that are not paused.
            self._consumer.pause(self._consumer.assignment())
            self._paused = True
            self._backlog += self._records(self._consumer.consume(num_messages=1, timeout=min(left, POLL_SECONDS)))
        return not self._stopping()

    def commit(self, records: list[Record]) -> None:
        """Commit that all up to the last of `records` is done.

        A failure is logged and no more: the records come again and overwrite their own points.
        """
        ends: dict[tuple[str, int], int] = {}
        for record in records:
            ends[record.topic, record.partition] = max(record.offset + 1, ends.get((record.topic, record.partition), 0))
        try:
            self._consumer.commit(
                offsets=[TopicPartition(topic, number, offset) for (topic, number), offset in ends.items()],
                asynchronous=False,
            )
        except KafkaException as error:
            self._log.warning("commit failed", detail=str(error))

    def lag(self, records: list[Record]) -> dict[tuple[str, int], int]:
        """Return how many records lie after the last of `records`, by topic and partition, as known without asking."""
        lags: dict[tuple[str, int], int] = {}
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            _low, high = self._consumer.get_watermark_offsets(partition, cached=True)
            lags[record.topic, record.partition] = max(0, high - record.offset - 1)
        return lags

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _assigned(self, _consumer: Any, partitions: list[Any]) -> None:
        self.is_assigned = bool(partitions)

    def _revoked(self, _consumer: Any, _partitions: list[Any]) -> None:
        self.is_assigned = False

    def _records(self, messages: list[Any]) -> list[Record]:
        records = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(Record(message.topic(), message.partition(), message.offset(), message.value() or b""))
            elif error.fatal():
                raise Unreachable(f"Kafka: {error.str()}")
            elif error.code() not in _PASSING:
                self._log.warning("kafka", detail=error.str())
        return records
