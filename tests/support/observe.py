"""What lies in Kafka, read little by little: every record once for the whole session of tests."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from connectors.kit.kafka import consumer
from connectors.kit.settings import KafkaSettings


class TooLate(AssertionError):
    """What a test waited for did not come; the message says what and what came instead."""


def wait_until(
    condition: Callable[[], Any],
    timeout_s: float,
    what: str,
    state: Callable[[], object] = lambda: "",
    step_s: float = 0.05,
) -> Any:
    """Return the condition's first true answer; the time limit keeps a broken pipeline from hanging the tests."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TooLate(f"waited {timeout_s:g} s for {what}; {state()}")
        time.sleep(step_s)
    return answer


@dataclass(frozen=True)
class Record:
    """One record of a topic."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes
    headers: dict[str, bytes] = field(default_factory=dict)


class TopicLog:
    """All records of a topic so far, decoded by `decode`."""

    def __init__(
        self,
        kafka: KafkaSettings,
        topic: str,
        decode: Callable[[bytes], Any] = bytes,
        isolation: str = "read_committed",
    ) -> None:
        self.topic = topic
        self._decode = decode
        # No group and no commits: each log reads from the beginning, by itself.
        self._consumer: Consumer = consumer(
            kafka, f"tests-{topic}-{isolation}", isolation_level=isolation, fetch_wait_max_ms=50
        )
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        self.records: list[Record] = []
        self.decoded: list[Any] = []

    def poll(self, timeout_s: float = 0.1) -> "TopicLog":
        """Take what has come since; returns when nothing more comes for `timeout_s`."""
        while messages := self._consumer.consume(5_000, timeout_s):
            for message in messages:
                if message.error() is not None:
                    raise AssertionError(f"{self.topic}: {message.error()}")
                record = Record(
                    message.partition(),
                    message.offset(),
                    message.timestamp()[1],
                    message.key(),
                    message.value() or b"",
                    dict(message.headers() or []),
                )
                self.records.append(record)
                self.decoded.append(self._decode(record.value))
        return self

    def pairs(self) -> Iterator[tuple[Record, Any]]:
        return zip(self.records, self.decoded, strict=True)

    def close(self) -> None:
        self._consumer.close()
