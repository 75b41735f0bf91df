"""Towards Kafka nothing is dropped, and a failed delivery never counts."""

import pytest
from confluent_kafka import KafkaError

from connectors.mqtt.kafka_port import RETRY_SECONDS, KafkaFailed, KafkaPort
from connectors.mqtt.messages import Flight, Message, Send
from connectors.mqtt.tally import Tally
from connectors.wire.topics import DEAD_LETTERS, READINGS

FLIGHT = Flight(Message("t", b"", 0), "s", "gw", [])


class FakeProducer:
    """A producer whose queue holds `room` messages and whose reports are scripted."""

    def __init__(self, room=1_000):
        self.room, self.queue, self.errors, self.order = room, [], [], []

    def produce(self, topic, value, key, on_delivery, **options):
        if len(self.queue) >= self.room:
            raise BufferError("queue full")
        self.queue.append((value, on_delivery))

    def poll(self, _timeout):
        queue, self.queue = self.queue, []
        for value, report in queue:
            error = self.errors.pop(0) if self.errors else None
            if error is None:
                self.order.append(value)
            report(error, None)

    def __len__(self):
        return len(self.queue)


class Port:
    def __init__(self, room=1_000):
        self.producer, self.now, self.tally = FakeProducer(room), 0.0, Tally()
        self.delivered, self.refused = [], []
        self.port = KafkaPort(
            self.producer,
            delivered=self.delivered.append,
            refused=lambda send, detail: self.refused.append((send, detail)),
            tally=self.tally,
            now=lambda: self.now,
        )


def send(value=b"x", topic=READINGS, flights=(FLIGHT,), stamp=1):
    return Send(topic, value, partition=0, timestamp_ms=stamp, flights=flights)


def test_a_full_queue_drops_nothing_and_keeps_the_order():
    side = Port(room=2)
    for number in range(7):
        side.port.send(send(b"%d" % number))
    for _ in range(4):
        side.port.pump()
    assert side.producer.order == [b"%d" % number for number in range(7)]
    assert len(side.delivered) == 7 and side.port.pending() == 0


def test_a_failed_delivery_is_tried_again_and_not_reported():
    side = Port()
    side.producer.errors = [KafkaError(KafkaError._MSG_TIMED_OUT)]
    side.port.send(send())
    side.port.pump()
    assert not side.delivered and not side.port.healthy and side.port.pending() == 1
    side.port.pump()
    assert not side.delivered
    side.now += RETRY_SECONDS
    side.port.pump()
    assert len(side.delivered) == 1 and side.port.healthy
    assert side.tally.kafka_failures["retried"] == 1


@pytest.mark.parametrize("code", [KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_TIMESTAMP])
def test_a_record_that_is_refused_for_good_is_reported_as_such(code):
    side = Port()
    side.producer.errors = [KafkaError(code)]
    side.port.send(send())
    side.port.pump()
    assert len(side.refused) == 1 and not side.delivered and side.port.pending() == 0


def test_a_refused_dead_letter_is_kept_and_tried_again():
    side = Port()
    side.producer.errors = [KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)]
    side.port.send(send(topic=DEAD_LETTERS, stamp=None))
    side.port.pump()
    assert not side.refused and side.port.pending() == 1


def test_a_failed_heartbeat_is_left_to_the_next():
    side = Port()
    side.producer.errors = [KafkaError(KafkaError._MSG_TIMED_OUT)]
    side.port.send(send(flights=()))
    side.port.pump()
    assert side.port.pending() == 0 and side.tally.kafka_failures["heartbeat"] == 1


def test_a_fatal_error_ends_the_process():
    side = Port()
    side.producer.errors = [KafkaError(KafkaError._FENCED, "fenced", fatal=True)]
    side.port.send(send())
    with pytest.raises(KafkaFailed):
        side.port.pump()
    assert not side.delivered


def test_flush_gives_up_in_time():
    side = Port()
    side.producer.errors = [KafkaError(KafkaError._MSG_TIMED_OUT)] * 100
    side.port.send(send())
    clock = iter(range(100))
    side.port._now = lambda: float(next(clock))
    assert side.port.flush(5.0) == 1
