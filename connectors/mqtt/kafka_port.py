"""The bridge's side towards Kafka: a full queue drops nothing, and nothing counts before it is delivered."""

from collections import deque
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, Producer

from connectors.mqtt.messages import Send
from connectors.mqtt.tally import Tally
from connectors.wire.topics import DEAD_LETTERS

RETRY_SECONDS = 1.0
"""Between attempts at a record whose delivery failed; keeps a refusing broker from being asked in a busy loop."""

REFUSALS = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_MSG,
    }
)
"""Errors that lie in the record itself: another attempt ends the same way."""


class KafkaFailed(Exception):
    """The producer can't go on; the process ends, and the broker delivers again what was not acknowledged."""


class KafkaPort:
    """Sends records and reports what became of them, all on the caller's thread.

    Parameters
    ----------
    producer
        Idempotent, acks from all replicas.
    delivered, refused
        Told of each record that is in Kafka, or that Kafka refuses for good.
    tally
        Counts failures.
    now
        Wall time in seconds.
    """

    def __init__(
        self,
        producer: Producer,
        *,
        delivered: Callable[[Send], None],
        refused: Callable[[Send, str], None],
        tally: Tally,
        now: Callable[[], float],
    ) -> None:
        self._producer = producer
        self._delivered = delivered
        self._refused = refused
        self._tally = tally
        self._now = now
        self._waiting: deque[Send] = deque()
        self._failed: deque[tuple[float, Send]] = deque()
        self._fatal: str | None = None
        self.last_error = ""

    @property
    def healthy(self) -> bool:
        """Whether no record waits for another attempt."""
        return not self._failed

    def pending(self) -> int:
        """Return the number of records that are not in Kafka yet."""
        return len(self._producer) + len(self._waiting) + len(self._failed)

    def send(self, send: Send) -> None:
        """Send a record, behind those that wait."""
        self._waiting.append(send)

    def pump(self, timeout_s: float = 0.0) -> None:
        """Hand over what waits and take delivery reports.

        Raises
        ------
        KafkaFailed
            After a fatal error of the producer.
        """
        while self._failed and self._failed[0][0] <= self._now():
            self._waiting.append(self._failed.popleft()[1])
        while self._waiting and self._produce(self._waiting[0]):
            self._waiting.popleft()
        self._producer.poll(timeout_s)
        if self._fatal is not None:
            raise KafkaFailed(self._fatal)

    def flush(self, until_s: float) -> int:
        """Pump until all is delivered or wall time is `until_s`; return what is left."""
        while self.pending() and self._now() < until_s:
            self.pump(0.05)
        return self.pending()

    def _produce(self, send: Send) -> bool:
        options: dict[str, Any] = {}
        if send.partition is not None:
            options["partition"] = send.partition
        if send.timestamp_ms is not None:
            options["timestamp"] = send.timestamp_ms
        if send.headers:
            options["headers"] = list(send.headers)

        def on_delivery(error: KafkaError | None, _message: Any) -> None:
            self._report(send, error)

        try:
            self._producer.produce(send.topic, send.value, key=send.key, on_delivery=on_delivery, **options)
        except BufferError:
            return False  # The local queue is full: this record stays first in line.
        return True

    def _report(self, send: Send, error: KafkaError | None) -> None:
        if error is None:
            self._delivered(send)
            return
        self.last_error = f"{send.topic}: {error.str()}"
        if error.fatal():
            self._fatal = self.last_error
        elif error.code() in REFUSALS and send.topic != DEAD_LETTERS:
            self._refused(send, error.str())
        elif not send.flights and send.timestamp_ms is not None:
            # A heartbeat: a later one says all that it said.
            self._tally.kafka_failures["heartbeat"] += 1
        else:
            self._tally.kafka_failures["retried"] += 1
            self._failed.append((self._now() + RETRY_SECONDS, send))
