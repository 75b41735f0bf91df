"""One MQTT connection of a gateway: paho driven from outside, its callbacks turned into events.

Each connection has a paho client of its own. So paho has nothing of its own to send again after a break, and the order
of packs and what is repeated is decided in one place, by `Sender`; a fresh client may reuse packet ids because the
session on the broker holds no QoS 2 state of ours.
"""

import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

SESSION_EXPIRY_S = 7 * 86_400
"""How long the broker keeps the session of a gateway that is away: a long weekend and more."""

_NO_MATCHING_SUBSCRIBERS = 0x10
_RECEIVE_MAXIMUM = 64
_ASKED_OF_BROKER = 65_535
_CONNECT_TIMEOUT_S = 5.0
"""A broker's host that doesn't answer at all (a dropped network) must not hold the other gateways' turn for long."""


@dataclass(frozen=True)
class Broker:
    """How to reach the MQTT broker."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str = ""
    password: str = ""
    tls: bool = False
    ca_file: Path | None = None
    keepalive_s: int = 30
    reconnect_min_s: float = 1.0
    reconnect_max_s: float = 30.0


def tls_context(broker: Broker) -> ssl.SSLContext:
    """Return what TLS demands of the broker: version 1.2, a certificate of its CA, the right name. Raises `OSError`."""
    context = ssl.create_default_context(cafile=str(broker.ca_file) if broker.ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@dataclass(frozen=True)
class Will:
    """What the broker says for a gateway that vanished."""

    topic: str
    payload: bytes


@dataclass(frozen=True)
class Connected:
    """The broker accepted us; `packet_limit` is the largest packet that it takes, 0 for no limit."""

    receive_maximum: int
    packet_limit: int


@dataclass(frozen=True)
class Subscribed:
    """The subscription stands, or `problem` says why not."""

    problem: str = ""


@dataclass(frozen=True)
class Taken:
    """A PUBACK; `problem` is empty when the broker took the message, `unheard` when it had no one to give it to."""

    mid: int
    problem: str = ""
    unheard: bool = False


@dataclass(frozen=True)
class Received:
    """A message for us."""

    topic: str
    payload: bytes


@dataclass(frozen=True)
class Lost:
    """The connection is gone."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """A callback raised; paho lives on, and someone should look."""

    error: Exception


Event = Connected | Subscribed | Taken | Received | Lost | Failed


class Link:
    """A connection attempt and the connection that comes of it. Never raises from a callback.

    The owner calls `read`, `write` and `misc` when its loop says so, and empties `events` after each.
    """

    def __init__(self, broker: Broker, client_id: str, will: Will) -> None:
        self.events: deque[Event] = deque()
        self._broker = broker
        # Made once: paho builds its table of all properties anew with each, which costs more than the publish.
        self._user = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False
        )
        # Our own window bounds what is in flight; paho's default of 20 would queue in memory behind our back.
        self._client.max_inflight_messages_set(_ASKED_OF_BROKER)
        self._client.connect_timeout = _CONNECT_TIMEOUT_S
        self._client.will_set(will.topic, will.payload, qos=1, retain=True)
        if broker.username:
            self._client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            self._client.tls_set_context(tls_context(broker))
        self._client.on_connect = self._guarded(self._on_connect)
        self._client.on_disconnect = self._guarded(self._on_disconnect)
        self._client.on_subscribe = self._guarded(self._on_subscribe)
        self._client.on_publish = self._guarded(self._on_publish)
        self._client.on_message = self._guarded(self._on_message)

    def open(self) -> None:
        """Connect; blocks for at most the connect timeout. The broker's answer comes as an event.

        Raises
        ------
        OSError
            If there is no connection (refused, no such host, no TLS).
        """
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        properties.ReceiveMaximum = _RECEIVE_MAXIMUM
        broker = self._broker
        # False at every connect: paho's default wipes the session once a process.
        self._client.connect(
            broker.host, broker.port, keepalive=broker.keepalive_s, clean_start=False, properties=properties
        )

    def socket(self) -> Any:
        """Return the socket, or None when there is none."""
        return self._client.socket()

    def wants_write(self) -> bool:
        """Whether bytes wait to be written."""
        return bool(self._client.want_write())

    def read(self) -> None:
        """Read what has come. TLS may have decrypted more than one read took, which no selector would tell."""
        while True:
            self._check(self._client.loop_read())
            sock = self._client.socket()
            if sock is None or not (isinstance(sock, ssl.SSLSocket) and sock.pending()):
                return

    def write(self) -> None:
        """Write what waits."""
        self._check(self._client.loop_write())

    def misc(self) -> None:
        """Keep the connection alive; call at least every few seconds."""
        self._check(self._client.loop_misc())

    def subscribe(self, topic: str) -> None:
        """Subscribe at QoS 1; retained messages come at each connect."""
        self._check(self._client.subscribe(topic, options=SubscribeOptions(qos=1))[0])

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, user: dict[str, str] | None = None) -> int:
        """Publish at QoS 1 and return the packet id."""
        properties = self._user if user else None
        if user:
            self._user.clear()  # type: ignore[no-untyped-call]
            self._user.UserProperty = list(user.items())
        info = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        self._check(info.rc)
        return info.mid

    def close(self) -> None:
        """Say goodbye, keeping the session."""
        self._client.disconnect()
        if self._client.socket() is not None and self._client.want_write():
            self._client.loop_write()

    def abandon(self) -> None:
        """Close the socket without a word, as a crash would: the broker sends the will."""
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    def _check(self, rc: int) -> None:
        if rc != MQTTErrorCode.MQTT_ERR_SUCCESS and not any(isinstance(event, Lost) for event in self.events):
            self.events.append(Lost(MQTTErrorCode(rc).name))

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """Keep an exception in a callback from killing paho's loop, and report it."""

        def guarded(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as error:
                self.events.append(Failed(error))

        return guarded

    def _on_connect(self, _: Client, __: Any, ___: ConnectFlags, code: ReasonCode, properties: Properties) -> None:
        if code.is_failure:
            self.events.append(Lost(f"refused: {code}"))
            return
        self.events.append(
            Connected(
                int(getattr(properties, "ReceiveMaximum", _ASKED_OF_BROKER)),
                int(getattr(properties, "MaximumPacketSize", 0)),
            )
        )

    def _on_disconnect(self, _: Client, __: Any, ___: DisconnectFlags, code: ReasonCode, ____: Any) -> None:
        self.events.append(Lost(str(code)))

    def _on_subscribe(self, _: Client, __: Any, ___: int, codes: list[ReasonCode], ____: Any) -> None:
        refused = [str(code) for code in codes if code.is_failure]
        self.events.append(Subscribed(", ".join(refused)))

    def _on_publish(self, _: Client, __: Any, mid: int, code: ReasonCode, ___: Any) -> None:
        # paho calls a refused publish published as well; the reason code alone tells.
        self.events.append(Taken(mid, str(code) if code.is_failure else "", code.value == _NO_MATCHING_SUBSCRIBERS))

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        self.events.append(Received(message.topic, bytes(message.payload)))
