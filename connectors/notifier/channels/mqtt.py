"""Alert events on an MQTT topic, QoS 1, done when the broker's PUBACK says so."""

import threading
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from connectors.kit.settings import MqttSettings
from connectors.notifier.channels import DELIVERED, Outcome, Reason
from connectors.notifier.message import Message
from connectors.notifier.subscriptions import MqttChannel

MESSAGE_ID = "webhook-id"
"""MQTT user property: the notification's id, by which a receiver drops repeats."""

TOPIC_INVALID, PACKET_TOO_LARGE, PAYLOAD_INVALID = 144, 149, 153
FAILURE = 128
"""MQTT 5 reason codes from here on are failures; 16 (nobody subscribes) is not one."""


class MqttSender:
    """Publishes on one topic.

    Each attempt has a connection of its own: paho would queue a publish over an outage and send it again by itself,
    behind the outbox's back.
    """

    def __init__(self, spec: MqttChannel, broker: MqttSettings, client_id: str) -> None:
        self._spec = spec
        self._broker = broker
        self._client_id = client_id

    def send(self, message: Message) -> Outcome:
        """Publish a notification."""
        attempt = _Attempt(self._spec, message)
        client = self._client()
        client.on_connect = attempt.on_connect
        client.on_publish = attempt.on_publish
        client.on_disconnect = attempt.on_disconnect
        try:
            client.connect(self._broker.host, self._broker.port, keepalive=self._broker.keepalive_s, clean_start=True)
            client.loop_start()
            if not attempt.done.wait(self._spec.timeout_s):
                return Outcome(Reason.TIMEOUT, f"no PUBACK within {self._spec.timeout_s:g} s")
            return attempt.outcome
        except (OSError, ValueError) as error:
            return Outcome(Reason.UNREACHABLE, f"{type(error).__name__}: {error}"[:300])
        finally:
            client.disconnect()
            client.loop_stop()

    def close(self) -> None:
        """Nothing is kept open."""

    def _client(self) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = self._spec.timeout_s
        if self._broker.username:
            client.username_pw_set(self._broker.username, self._broker.secret())
        if self._broker.tls:
            client.tls_set(ca_certs=str(self._broker.ca_file) if self._broker.ca_file else None)
        return client


class _Attempt:
    """One connection, one publish, and how it ended."""

    def __init__(self, spec: MqttChannel, message: Message) -> None:
        self._spec = spec
        self._message = message
        self.outcome = Outcome(Reason.UNREACHABLE, "the connection broke")
        self.done = threading.Event()

    def on_connect(self, client: paho.Client, _userdata: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if code.is_failure:
            self._end(Outcome(Reason.CLIENT, f"CONNACK {code}"))
            return
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = "application/cloudevents+json"
        properties.UserProperty = [(MESSAGE_ID, self._message.id)]
        try:
            client.publish(self._spec.topic, self._message.body, 1, self._spec.retain, properties)
        except ValueError as error:
            self._end(Outcome(Reason.REFUSED, str(error)[:300]))

    def on_publish(self, _client: Any, _userdata: Any, _mid: int, code: Any, _properties: Any) -> None:
        self._end(outcome_of(code.value))

    def on_disconnect(self, _client: Any, _userdata: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if code.value == PACKET_TOO_LARGE:
            self._end(outcome_of(code.value))
        self._end(Outcome(Reason.UNREACHABLE, f"disconnected: {code}"))

    def _end(self, outcome: Outcome) -> None:
        if not self.done.is_set():
            self.outcome = outcome
            self.done.set()


def outcome_of(code: int) -> Outcome:
    """Return what the PUBACK's reason code means.

    >>> outcome_of(0).reason is None, outcome_of(16).reason is None, outcome_of(135).reason.value
    (True, True, 'client')
    """
    if code < FAILURE:
        return DELIVERED
    if code in (TOPIC_INVALID, PACKET_TOO_LARGE, PAYLOAD_INVALID):
        return Outcome(Reason.REFUSED, f"PUBACK {code}")
    return Outcome(Reason.CLIENT, f"PUBACK {code}")
