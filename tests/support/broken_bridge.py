"""A bridge that is broken on purpose: `python -m tests.support.broken_bridge early-ack | drop | duplicate`.

The books must catch each of them.
"""

import sys
from typing import Any

import msgspec

from connectors.kit.service import run_service
from connectors.mqtt import service
from connectors.mqtt.core import Bridge
from connectors.mqtt.kafka_port import KafkaPort
from connectors.mqtt.messages import Message, Send
from connectors.wire.record import Readings, decode_record, encode_record
from connectors.wire.topics import READINGS

EVERY = 5


class EarlyBridge(Bridge):
    """Acknowledges to the broker and to the gateway what it received, whether or not it is in Kafka."""

    def take(self, message: Message, wall_ms: float) -> None:
        super().take(message, wall_ms)
        for (site, gateway, boot, seq), flight in self._open.items():
            for entry in flight.entries:
                entry.done = True
            self._acks.done((site, gateway, boot), seq, wall_ms)


class Faulty(KafkaPort):
    """Counts the records of readings and does something to every fifth."""

    count = 0

    def send(self, send: Send) -> None:
        if send.topic == READINGS and send.flights:
            self.count += 1
            if self.count % EVERY == 0:
                self.spoil(send)
                return
        super().send(send)

    def spoil(self, send: Send) -> None:
        raise NotImplementedError


class Withholding(KafkaPort):
    """Keeps readings to itself, as a producer whose broker doesn't answer does; a kill forgets them."""

    def send(self, send: Send) -> None:
        if send.topic != READINGS:
            super().send(send)


class Dropping(Faulty):
    """Says that a record is in Kafka which it never sent."""

    def spoil(self, send: Send) -> None:
        self._delivered(send)


class Duplicating(Faulty):
    """Writes a record twice, the second time under other sequence numbers: the job can't know it as a copy."""

    def spoil(self, send: Send) -> None:
        super(Faulty, self).send(send)
        record = decode_record(send.value)
        assert isinstance(record, Readings)
        parts = [msgspec.structs.replace(part, seq=part.seq + 1_000_000) for part in record.parts]
        copy = encode_record(msgspec.structs.replace(record, parts=parts))
        options: dict[str, Any] = {"partition": send.partition, "timestamp": send.timestamp_ms}
        self._producer.produce(send.topic, copy, key=send.key, **options)


def main(fault: str) -> None:
    if fault == "early-ack":
        service.Bridge = EarlyBridge  # type: ignore[misc]
    ports = {"early-ack": Withholding, "drop": Dropping, "duplicate": Duplicating}
    service.KafkaPort = ports[fault]  # type: ignore[misc]
    run_service("broken-bridge", service.bridge)


if __name__ == "__main__":
    main(sys.argv[1])
