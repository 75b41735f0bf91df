"""A gateway by hand: publishes exactly the bytes it is told to, in the order it is told. No outbox, no resending."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from connectors.kit.settings import MqttSettings
from connectors.wire.pack import OLDEST_SEQ, SENT_MS, Ack, Pack
from connectors.wire.series import SeriesTable
from connectors.wire.topics import ROOT, gateway_topic, parse_gateway_topic
from connectors.wire.versions import WireError, from_json, to_json
from tests.support.observe import wait_until
from tests.support.offline import SITE

CONNECT_S = 20.0
"""Longer than the broker takes to start anew on a loaded machine."""


class RawGateway:
    """An MQTT client that publishes for any number of gateways.

    Attributes
    ----------
    acks
        (gateway, boot) → highest sequence number that the bridge acknowledged while this client listened, retained
        acknowledgements included.
    bad_acks
        What was wrong with acknowledgements that can't be read; there must be none.
    """

    def __init__(self, mqtt_settings: MqttSettings, client_id: str, site: str = SITE) -> None:
        self.site = site
        self.acks: dict[tuple[str, str], int] = {}
        self.connections = 0
        self.bad_acks: list[str] = []
        self._lock = threading.Lock()
        self._pending: list[mqtt.MQTTMessageInfo] = []
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.max_inflight_messages_set(200)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.connect_async(mqtt_settings.host, mqtt_settings.port, keepalive=10)
        self._client.loop_start()
        wait_until(lambda: self.connections, CONNECT_S, f"{client_id} to connect")

    def publish(
        self, gateway: str, kind: str, payload: bytes, rest: str = "", retain: bool = False, **properties: int
    ) -> None:
        """Publish at QoS 1; `settle` waits for the broker's receipt."""
        user = Properties(PacketTypes.PUBLISH)
        if properties:
            user.UserProperty = [(name, str(value)) for name, value in properties.items()]
        topic = gateway_topic(self.site, gateway, kind, rest)
        self._pending.append(self._client.publish(topic, payload, qos=1, retain=retain, properties=user))

    def publish_table(self, gateway: str, table: SeriesTable) -> None:
        """Publish a series table, retained as a gateway does before its first pack."""
        self.publish(gateway, "series", to_json(table), table.id, retain=True)

    def publish_packs(self, gateway: str, packs: Iterable[Pack], sent_ms: int | None = None) -> None:
        """Publish packs in the order given; the first of the boot is said to be still in the outbox."""
        for pack in packs:
            properties = {OLDEST_SEQ: 1} | ({SENT_MS: sent_ms} if sent_ms is not None else {})
            self.publish(gateway, "packs", to_json(pack), **properties)

    def settle(self, timeout_s: float = 20.0) -> None:
        """Return when the broker has received all that was published."""
        for info in self._pending:
            info.wait_for_publish(timeout_s)
            assert info.is_published(), "the broker did not take a publish in time"
        self._pending.clear()

    def acked(self, gateway: str, boot: str) -> int:
        """Return up to which sequence number the bridge acknowledged; 0 for nothing."""
        with self._lock:
            return self.acks.get((gateway, boot), 0)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe(f"{ROOT}/{self.site}/+/ack", qos=1)
        self.connections += 1

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        topic = parse_gateway_topic(message.topic)
        if topic is None or not message.payload:
            return
        try:
            ack = from_json(Ack, message.payload)
        except WireError as error:  # kept, because an exception here would end paho's thread in silence
            self.bad_acks.append(str(error))
            return
        with self._lock:
            key = topic.gateway, ack.boot
            self.acks[key] = max(ack.seq, self.acks.get(key, 0))


@contextmanager
def raw_gateway(mqtt_settings: MqttSettings, client_id: str) -> Iterator[RawGateway]:
    client = RawGateway(mqtt_settings, client_id)
    try:
        yield client
    finally:
        client.close()
