"""Dead letters reach Kafka before anything is committed."""

from collections.abc import Callable
from typing import Any

import msgspec

from connectors.kit.deadletters import deliver
from connectors.wire.ledger import DeadLetter
from connectors.wire.topics import DEAD_LETTERS
from connectors.wire.versions import from_msgpack
from tests.support.samples import SAMPLES

LETTERS = [msgspec.structs.replace(SAMPLES[DeadLetter], source=f"t/0/{number}") for number in range(5)]


class Producer:
    """Takes some, then is full until polled; the first deliveries fail."""

    def __init__(self, room: int = 2, failures: int = 0) -> None:
        self.room = room
        self.failures = failures
        self.queue: list[tuple[bytes, Callable[[Any, Any], None]]] = []
        self.delivered: list[str] = []

    def produce(self, topic: str, value: bytes, _key: bytes, on_delivery: Callable[[Any, Any], None]) -> None:
        assert topic == DEAD_LETTERS
        if len(self.queue) >= self.room:
            raise BufferError
        self.queue.append((value, on_delivery))

    def poll(self, _timeout: float) -> None:
        queue, self.queue = self.queue, []
        for value, on_delivery in queue:
            if self.failures:
                self.failures -= 1
                on_delivery("timed out", None)
            else:
                self.delivered.append(from_msgpack(DeadLetter, value).source)
                on_delivery(None, None)


def test_all_are_delivered_through_a_full_queue_and_failures() -> None:
    producer = Producer(room=2, failures=3)
    assert deliver(producer, LETTERS, lambda: False)
    assert sorted(producer.delivered) == [letter.source for letter in LETTERS]


def test_a_stop_is_told_from_success() -> None:
    answers = iter([False, False, True])
    assert not deliver(Producer(failures=1_000), LETTERS, lambda: next(answers))


def test_none_is_success_at_once() -> None:
    assert deliver(Producer(), [], lambda: True)
