"""The bridge's MQTT side and core with messages of foreign devices, on a real broker; Kafka is a list."""

import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from connectors.kit.settings import MqttSettings
from connectors.mapping.load import parse_mappings
from connectors.mqtt.core import Bridge, Options
from connectors.mqtt.intake import Intake
from connectors.mqtt.messages import Message, Puback, Publish, Send
from connectors.mqtt.mqtt_port import MqttPort
from connectors.mqtt.receipts import Written
from connectors.mqtt.service import Link
from connectors.wire.ledger import DeadLetter
from connectors.wire.record import Part, Readings, decode_record
from connectors.wire.topics import DEAD_LETTERS, READINGS
from connectors.wire.versions import from_msgpack
from tests.support.mosquitto import Mosquitto

pytestmark = pytest.mark.integration

WAIT_S = 20.0
FILE = """
site: home
gateway: g
mappings:
  - name: plain
    topic: plain/{device}
    format: text
    readings: [{value: "@", device: "{device}", quantity: level}]
  - name: timed
    topic: timed/{device}
    device: "{device}"
    time: {at: ts, form: epoch_s}
    readings: [{value: v, quantity: v}]
"""


class Log:
    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args, **_kwargs: None


class Process:
    """A bridge without Kafka: `kafka` holds what it wrote; `deliver` says whether Kafka answers."""

    def __init__(self, port: int, file: str = FILE, kafka: list[Send] | None = None, deliver: bool = True) -> None:
        self.kafka: list[Send] = [] if kafka is None else kafka
        self.deliver = deliver
        mappings = parse_mappings(file) if file else None
        intake = Intake(mappings, [Written(p.gateway, p.seq, p.received_ms) for p in self.parts()])
        self.core = Bridge(Options(shards=2, heartbeat_grace_ms=0), lambda: "nonce", intake=intake)
        self._inbox: queue.SimpleQueue[Message | Link] = queue.SimpleQueue()
        self.port = MqttPort(
            MqttSettings(port=port, reconnect_min_s=0.1, reconnect_max_s=0.2),
            "bridge",
            100,
            foreign=mappings.filters if mappings else (),
            on_message=self._arrived,
            on_link=lambda generation, present: self._inbox.put(Link(generation, present)),
            log=Log(),
        )
        self.port.start()
        self.until(lambda: self.port.ready)

    def _arrived(self, generation: int, message: mqtt.MQTTMessage) -> None:
        now = time.time_ns() // 1_000_000
        self._inbox.put(
            Message(
                message.topic,
                bytes(message.payload),
                now,
                generation,
                message.mid,
                message.qos,
                message.retain,
                message.dup,
            )
        )

    def turn(self) -> None:
        wall, now = time.monotonic() * 1000, time.time_ns() // 1_000_000
        while not self._inbox.empty():
            item = self._inbox.get()
            if isinstance(item, Message):
                self.core.take(item, wall)
            elif item.generation is None:
                self.core.disconnected(now)
            else:
                self.core.connected(item.generation, now, wall)
        self.core.tick(now, wall)
        while self.core.effects:
            effect = self.core.effects.popleft()
            if isinstance(effect, Send):
                self.kafka.append(effect)
                if self.deliver:
                    self.core.delivered(effect)
            elif isinstance(effect, Puback):
                self.port.acknowledge(effect.generation, effect.mid)
            elif isinstance(effect, Publish):
                self.port.publish(effect.topic, effect.payload, retain=effect.retain)

    def until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT_S
        while not done():
            assert time.monotonic() < end
            self.turn()
            time.sleep(0.01)
        self.turn()

    def parts(self) -> list[Part]:
        records = [decode_record(send.value) for send in self.kafka if send.topic == READINGS]
        return [part for record in records if isinstance(record, Readings) for part in record.parts]

    def letters(self) -> list[DeadLetter]:
        return [from_msgpack(DeadLetter, send.value) for send in self.kafka if send.topic == DEAD_LETTERS]

    def kill(self) -> None:
        """End the network thread without a DISCONNECT, as a killed process does."""
        client: Any = self.port._client
        client.on_disconnect = None
        sock = client.socket()
        client._thread_terminate = True
        if sock is not None:
            sock.close()
        client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker."""
    made = Mosquitto(tmp_path)
    yield made
    made.stop()


def publish(port: int, *messages: tuple[str, str], retain: bool = False) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for topic, payload in messages:
        client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(WAIT_S)
    client.disconnect()
    client.loop_stop()


def identities(parts: list[Part]) -> list[tuple[str, str, int]]:
    return [(part.gateway, part.boot, part.seq) for part in parts]


def test_a_bridge_that_is_killed_before_its_acknowledgement_writes_copies_and_nothing_new(broker: Mosquitto) -> None:
    first = Process(broker.port, deliver=False)
    now = int(time.time())
    publish(broker.port, ("plain/a", "21.5"), ("plain/a", "21.5"), ("timed/b", f'{{"ts": {now}, "v": 3}}'))
    first.until(lambda: len(first.parts()) == 3)
    first.kill()
    before = first.parts()
    second = Process(broker.port, kafka=list(first.kafka))
    second.until(lambda: len(second.parts()) >= 6)
    assert sorted(identities(second.parts()[3:])) == sorted(identities(before))
    assert len(set(identities(before))) == 3
    assert [part.offsets for part in second.parts()[3:]] == [part.offsets for part in before]
    second.until(lambda: second.core.inflight == 0)
    second.kill()


def test_a_broken_connection_makes_copies_at_most(broker: Mosquitto) -> None:
    one = Process(broker.port, deliver=False)
    publish(broker.port, ("plain/a", "1"), ("plain/a", "1"))
    one.until(lambda: len(one.parts()) == 2)
    client: Any = one.port._client
    client.socket().close()
    one.until(lambda: one.core.tally.connects == 2)
    one.until(lambda: one.core.tally.redelivered == 2)
    assert len(one.parts()) == 2
    one.deliver = True
    for send in list(one.kafka):
        one.core.delivered(send)
    one.until(lambda: one.core.inflight == 0)
    publish(broker.port, ("plain/a", "2"))
    one.until(lambda: len(one.parts()) == 3)
    one.kill()


def test_what_devices_left_retained_is_not_taken_for_a_reading_of_now(broker: Mosquitto) -> None:
    publish(broker.port, ("plain/old", "7"), retain=True)
    one = Process(broker.port)
    publish(broker.port, ("plain/new", "8"))
    one.until(lambda: len(one.parts()) == 1)
    time.sleep(0.2)
    one.turn()
    assert len(one.parts()) == 1
    one.kill()


def test_a_mapping_that_is_taken_away_takes_its_subscription_with_it(broker: Mosquitto) -> None:
    wide = FILE.replace("plain/{device}", "plain/{device}/#")
    first = Process(broker.port, wide)
    publish(broker.port, ("plain/a/x", "1"))
    first.until(lambda: len(first.parts()) == 1 and first.core.inflight == 0)
    time.sleep(0.3)  # So that its acknowledgement is at the broker.
    first.kill()
    second = Process(broker.port)
    time.sleep(0.5)
    publish(broker.port, ("plain/a/x", "2"), ("plain/a", "3"))
    second.until(lambda: len(second.parts()) >= 1 and second.core.inflight == 0)
    time.sleep(0.3)
    second.turn()
    assert (len(second.parts()), second.letters()) == (1, []), "neither a dead letter nor a second copy"
    second.kill()
    none = Process(broker.port, "")
    time.sleep(0.5)
    publish(broker.port, ("plain/a", "4"), ("timed/b", "{}"))
    time.sleep(0.3)
    none.turn()
    assert none.letters() == []
    none.kill()


def test_nobody_silences_gateways_through_the_note_of_filters(broker: Mosquitto) -> None:
    one = Process(broker.port)
    publish(broker.port, ("tidemark/v1/bridge/mapped", '["tidemark/v1/+/+/packs", "#", "+/v1/#"]'), ("x", "1"))
    publish(broker.port, ("tidemark/v1/bridge/mapped", "junk"), ("tidemark/v1/bridge/mapped", "[1"))
    publish(broker.port, ("tidemark/v1/s/gw/packs", "junk"))
    one.until(lambda: [letter.source for letter in one.letters()] == ["tidemark/v1/s/gw/packs"])
    one.kill()
