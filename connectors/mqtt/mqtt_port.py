"""The bridge's side towards the MQTT broker: a client whose session outlives the process, watched from outside."""

import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from connectors.kit.settings import MqttSettings
from connectors.mapping.topics import OWN_TOPICS, overlap
from connectors.mqtt.core import echo_topic
from connectors.mqtt.dropping import DROPPED_TOPIC
from connectors.wire.topics import BRIDGE_SUBSCRIPTIONS, ROOT

SESSION_FOREVER = 0xFFFFFFFF
"""Session Expiry Interval that never ends: what is queued for the bridge waits for it however long it is away."""

OUTGOING_INFLIGHT = 1000
"""Acknowledgements and echoes on their way at once; paho's default of 20 would hold them back under load."""

CONNECT_SECONDS = 5.0
"""How long a TCP connection may take to be made."""

STUCK_SECONDS = 10.0
"""A network loop that has not turned for so long, beside its longest wait for a reconnect, is stuck."""

RETAINED_ALWAYS, RETAINED_IF_NEW, RETAINED_NEVER = 0, 1, 2


def filters_topic(client_id: str) -> str:
    """Return the topic where the bridge notes, retained, what it subscribed to for mappings; no gateway's can be it."""
    return f"{ROOT}/{client_id}/mapped"


def read_filters(note: bytes) -> list[str]:
    """Return the filters of a note; none for what is no note."""
    try:
        noted = msgspec.json.decode(note, type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return [topic for topic in noted if topic]


class WatchedClient(mqtt.Client):
    """A paho client that shows whether its network thread lives.

    An exception in a callback ends paho's thread while `is_connected()` stays true.
    """

    last_turn_s: float = 0.0

    def loop_misc(self) -> MQTTErrorCode:
        """Note that the loop turned; paho calls this once a turn."""
        self.last_turn_s = time.monotonic()
        return super().loop_misc()

    def thread_lives(self) -> bool:
        """Whether the network thread is there."""
        thread: threading.Thread | None = self._thread
        return thread is not None and thread.is_alive()


class MqttPort:
    """Connection, subscriptions, acknowledgements.

    Parameters
    ----------
    settings, client_id, max_inflight
        The broker, our fixed name there, and how much it may send unacknowledged (Receive Maximum).
    foreign
        Topic filters of devices that speak a form of their own.
    on_message
        Called on paho's thread with the connection's generation and the message. It must be quick.
    on_link
        Called on paho's thread: generation of a new connection (None when it is gone) and whether the broker had kept
        the session.
    log
        structlog's logger.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        max_inflight: int,
        *,
        foreign: Sequence[str] = (),
        on_message: Callable[[int, mqtt.MQTTMessage], None],
        on_link: Callable[[int | None, bool], None],
        log: Any,
    ) -> None:
        self._settings = settings
        self._client_id = client_id
        self._max_inflight = max_inflight
        self._foreign = sorted(set(foreign))
        self._note_topic = filters_topic(client_id)
        self._on_message = on_message
        self._on_link = on_link
        self._log = log
        self._lock = threading.Lock()
        self._generation = 0
        self._live: int | None = None
        self._subscribed = False
        self._wanted_mid: int | None = None
        self._client: WatchedClient | None = None
        self._started_s = 0.0
        self.refused_publishes = 0

    @property
    def ready(self) -> bool:
        """Whether the connection stands and the broker granted every subscription."""
        return self._live is not None and self._subscribed

    def start(self) -> None:
        """Begin to connect, and go on until it succeeds."""
        client = WatchedClient(
            CallbackAPIVersion.VERSION2, self._client_id, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True
        )
        client.max_inflight_messages_set(OUTGOING_INFLIGHT)
        client.connect_timeout = CONNECT_SECONDS
        client.reconnect_delay_set(self._settings.reconnect_min_s, self._settings.reconnect_max_s)  # type: ignore[arg-type]
        if self._settings.username:
            client.username_pw_set(self._settings.username, self._settings.secret())
        if self._settings.tls:
            ca_file = self._settings.ca_file
            client.tls_set(str(ca_file) if ca_file else None, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_message = self._took
        client.on_subscribe = self._granted
        client.on_publish = self._published
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_FOREVER
        properties.ReceiveMaximum = self._max_inflight
        client.connect_async(
            self._settings.host,
            self._settings.port,
            self._settings.keepalive_s,
            clean_start=False,
            properties=properties,
        )
        self._client = client
        self._started_s = time.monotonic()
        client.loop_start()

    def stuck(self) -> bool:
        """Whether the network thread is gone or its loop has not turned for too long."""
        client = self._client
        if client is None:
            return False
        limit = STUCK_SECONDS + CONNECT_SECONDS + self._settings.reconnect_max_s
        turned = max(client.last_turn_s, self._started_s)
        return not client.thread_lives() or time.monotonic() - turned > limit

    def rebuild(self) -> None:
        """Replace a stuck client; the broker hands our session to the new one, and again what was not acknowledged."""
        old, self._client = self._client, None
        self._gone()
        if old is not None:
            old.on_connect = old.on_disconnect = old.on_message = old.on_subscribe = old.on_publish = None
            # Should its thread come to life again, it must not take the session back.
            old.disconnect()
            sock = old.socket()
            if sock is not None:
                sock.close()
        self.start()

    def acknowledge(self, generation: int, mid: int) -> None:
        """Acknowledge a message, unless its connection is gone: its id may mean another message on the next."""
        with self._lock:
            if self._live == generation and self._client is not None:
                self._client.ack(mid, 1)

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> mqtt.MQTTMessageInfo | None:
        """Publish with QoS 1."""
        client = self._client
        return None if client is None else client.publish(topic, payload, qos=1, retain=retain)

    def settle(self, wait_s: float) -> bool:
        """Return, at the latest after `wait_s`, whether the broker has taken all acknowledgements sent so far.

        It takes packets in order, so it has when it acknowledges a last publish. To one that closes its connection
        before that, it can't answer: it then throws away what it has not read, and delivers those messages again.
        """
        client = self._client
        if client is None or self._live is None:
            return False
        last = client.publish(echo_topic(self._client_id), b"", qos=1)
        try:
            last.wait_for_publish(wait_s)
        except RuntimeError:  # The connection broke meanwhile.
            return False
        return last.is_published()

    def stop(self, wait_s: float) -> None:
        """Disconnect behind what was sent, keeping the session, and wait for the network thread at most so long."""
        client = self._client
        if client is None:
            return
        client.disconnect()
        stopper = threading.Thread(target=client.loop_stop, name="mqtt-stop", daemon=True)
        stopper.start()
        stopper.join(wait_s)

    # On paho's thread. An exception here would end it, so none gets out.

    def _connected(
        self, client: mqtt.Client, _userdata: Any, flags: mqtt.ConnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        try:
            if reason.is_failure:
                self._log.error("broker refused the connection", reason=str(reason))
                return
            with self._lock:
                self._generation += 1
                self._live = generation = self._generation
            self._on_link(generation, flags.session_present)
            self._subscribe(client, first=generation == 1)
        except Exception:
            self._log.exception("on_connect failed")

    def _subscribe(self, client: mqtt.Client, *, first: bool) -> None:
        """Subscribe; tables and status that the broker retains are wanted at each start, packs never."""
        self._subscribed = False
        retained = RETAINED_ALWAYS if first else RETAINED_IF_NEW
        wanted = [
            (topic, SubscribeOptions(qos=1, retainHandling=RETAINED_NEVER if topic.endswith("/packs") else retained))
            for topic in BRIDGE_SUBSCRIPTIONS
        ]
        # What a device left retained says nothing of now.
        wanted += [(topic, SubscribeOptions(qos=1, retainHandling=RETAINED_NEVER)) for topic in self._foreign]
        wanted.append((echo_topic(self._client_id), SubscribeOptions(qos=1, retainHandling=RETAINED_NEVER)))
        _, self._wanted_mid = client.subscribe(wanted)
        # The broker's statistics, and the note of our filters, may be forbidden to us; the bridge works without.
        client.subscribe(DROPPED_TOPIC, 0)
        client.subscribe(self._note_topic, 0)
        if self._foreign:
            client.publish(self._note_topic, msgspec.json.encode(self._foreign), qos=1, retain=True)

    def _drop_stale(self, client: mqtt.Client, note: bytes) -> None:
        """Unsubscribe what an earlier mapping file asked for: the session keeps subscriptions, and can't list them."""
        noted = read_filters(note)
        # Whoever may write the note must not be able to silence gateways with it.
        stale = [topic for topic in noted if topic not in self._foreign and not overlap(topic, OWN_TOPICS)]
        if stale:
            self._log.info("unsubscribing from what no mapping takes any more", topics=stale)
            client.unsubscribe(stale)
        if noted and not self._foreign:
            client.publish(self._note_topic, b"", qos=1, retain=True)

    def _granted(
        self, _client: mqtt.Client, _userdata: Any, mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        try:
            if mid != self._wanted_mid:
                return
            self._subscribed = not any(reason.is_failure for reason in reasons)
            if not self._subscribed:
                self._log.error("broker refused a subscription", reasons=[str(reason) for reason in reasons])
        except Exception:
            self._log.exception("on_subscribe failed")

    def _published(self, _client: mqtt.Client, _userdata: Any, _mid: int, reason: ReasonCode, _properties: Any) -> None:
        try:
            if reason.is_failure:
                self.refused_publishes += 1
                self._log.error("broker refused a publish: no acknowledgements or heartbeats", reason=str(reason))
        except Exception:
            self._log.exception("on_publish failed")

    def _disconnected(
        self, _client: mqtt.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        try:
            self._log.info("disconnected", reason=str(reason))
            self._gone()
        except Exception:
            self._log.exception("on_disconnect failed")

    def _gone(self) -> None:
        with self._lock:
            was_live, self._live = self._live, None
            self._subscribed = False
        if was_live is not None:
            self._on_link(None, False)

    def _took(self, client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        try:
            if message.topic == self._note_topic:
                self._drop_stale(client, bytes(message.payload))
            else:
                self._on_message(self._generation, message)
        except Exception:
            # Not acknowledged, so the broker delivers it again.
            self._log.exception("on_message failed", mid=message.mid)
