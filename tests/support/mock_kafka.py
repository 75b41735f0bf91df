"""A Kafka inside librdkafka: real protocol on a free port, in milliseconds. It knows no time index."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer

ANSWER_S = 10.0


@dataclass
class MockKafka:
    """Attributes: `bootstrap`, and the producer in whose process the broker lives."""

    bootstrap: str
    _producer: Any

    def put(self, topic: str, value: bytes | None, *, partition: int = 0, stamp_ms: int = 1, key: bytes = b"") -> None:
        self._producer.produce(topic, value, key or None, partition=partition, timestamp=stamp_ms)
        assert self._producer.flush(ANSWER_S) == 0


@contextmanager
def mock_kafka() -> Iterator[MockKafka]:
    producer = Producer(
        {"test.mock.num.brokers": 1, "bootstrap.servers": "replaced", "log_level": 0, "linger.ms": 0, "acks": "all"}
    )
    (broker,) = producer.list_topics(timeout=ANSWER_S).brokers.values()
    yield MockKafka(f"{broker.host}:{broker.port}", producer)
