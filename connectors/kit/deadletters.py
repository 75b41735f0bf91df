"""Dead letters of services that read Kafka: made small enough, and delivered before the offset is committed."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from confluent_kafka import KafkaException

from connectors.wire.ledger import DeadLetter
from connectors.wire.topics import DEAD_LETTERS
from connectors.wire.versions import to_msgpack

PAYLOAD_BYTES = 900_000
"""Kafka takes 1 MiB a record by default; a letter that it refuses would stop the service for ever."""

POLL_SECONDS = 0.2


def fitting(letter: DeadLetter) -> DeadLetter:
    """Return the letter, without its payload where that is too large for Kafka; `source` says where it lies."""
    if len(letter.payload) <= PAYLOAD_BYTES:
        return letter
    detail = f"{letter.detail} (payload of {len(letter.payload)} bytes left out)"
    return msgspec.structs.replace(letter, payload=b"", detail=detail)


def deliver(producer: Any, letters: Sequence[DeadLetter], stopping: Callable[[], bool]) -> bool:
    """Produce letters and wait until Kafka has them; one that fails is produced again.

    Parameters
    ----------
    producer
        `connectors.kit.kafka.producer(…)`.
    stopping
        Gives up when true.

    Returns
    -------
    bool
        Whether Kafka has all of them. If not, their offsets must not be committed.
    """
    waiting = {number: fitting(letter) for number, letter in enumerate(letters)}
    unsent = list(waiting)

    def reporter(number: int) -> Callable[[Any, Any], None]:
        def report(error: Any, _message: Any) -> None:
            if error is None:
                waiting.pop(number, None)
            else:
                unsent.append(number)

        return report

    while waiting and not stopping():
        while unsent:
            number = unsent.pop()
            letter = waiting[number]
            key = letter.gateway.encode() or None
            try:
                producer.produce(DEAD_LETTERS, to_msgpack(letter), key, on_delivery=reporter(number))
            except (BufferError, KafkaException):
                unsent.append(number)
                break
        producer.poll(POLL_SECONDS)
    return not waiting
