"""A stand-in for the bridge: takes packs from the broker, keeps them in memory, and acknowledges gap-free runs."""

import threading
from collections.abc import Callable

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from connectors.wire.pack import OLDEST_SEQ, SENT_MS, Ack, Pack, Status
from connectors.wire.series import SeriesTable
from connectors.wire.topics import BRIDGE_SUBSCRIPTIONS, gateway_topic, parse_gateway_topic
from connectors.wire.versions import from_either, from_json, to_json

_WAIT_S = 10


class BridgeStub:
    """Subscribes as the bridge does, with a session that outlives its connection.

    `lose(seq, times_seen)` returns whether a pack is dropped unseen, as by a crash of the broker.
    """

    def __init__(
        self,
        port: int,
        lose: Callable[[str, int, int], bool] | None = None,
        acking: bool = True,
        ack_packs: int = 1,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.packs: dict[tuple[str, str, int], bytes] = {}
        self.order: dict[tuple[str, str], list[int]] = {}
        self.seen: dict[tuple[str, str, int], int] = {}
        self.tables: dict[str, SeriesTable] = {}
        self.status: dict[str, Status] = {}
        self.packs_before_table = 0
        self.highest_unacked = 0
        self.without_properties = 0
        self.acking = acking
        self._ack_packs = ack_packs
        self.errors: list[Exception] = []
        self._run: dict[tuple[str, str], int] = {}
        self._acked: dict[tuple[str, str], int] = {}
        self._lose = lose or (lambda gateway, seq, times: False)
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, "bridge-stub", protocol=MQTTProtocolVersion.MQTTv5)
        if login is not None:
            self._client.username_pw_set(*login)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        properties.ReceiveMaximum = 1000
        self._client.connect("127.0.0.1", port, 5, clean_start=False, properties=properties)
        self._client.loop_start()
        assert self._ready.wait(_WAIT_S), "the stub could not subscribe"

    def _on_connect(self, client: Client, *_: object) -> None:
        client.subscribe([(topic, 1) for topic in BRIDGE_SUBSCRIPTIONS])

    def _on_message(self, _: Client, __: object, message: MQTTMessage) -> None:
        try:
            self._take(message)
        except Exception as error:
            self.errors.append(error)

    def _take(self, message: MQTTMessage) -> None:
        topic = parse_gateway_topic(message.topic)
        assert topic is not None
        if topic.kind == "series":
            table = from_json(SeriesTable, message.payload)
            self.tables[table.id] = table
        elif topic.kind == "status":
            self.status[topic.gateway] = from_json(Status, message.payload)
        else:
            self._take_pack(topic.site, topic.gateway, message)

    def _take_pack(self, site: str, gateway: str, message: MQTTMessage) -> None:
        pack = from_either(Pack, message.payload)
        user = dict(getattr(message.properties, "UserProperty", []))
        if not {SENT_MS, OLDEST_SEQ} <= set(user):
            self.without_properties += 1
        run = (gateway, pack.boot)
        key = (*run, pack.seq)
        self.seen[key] = self.seen.get(key, 0) + 1
        if self._lose(gateway, pack.seq, self.seen[key]):
            return
        self.packs_before_table += pack.table not in self.tables
        if key not in self.packs:
            self.order.setdefault(run, []).append(pack.seq)
        self.packs[key] = bytes(message.payload)
        oldest = int(user.get(OLDEST_SEQ, pack.seq))
        done = max(self._run.get(run, oldest - 1), oldest - 1)
        while (*run, done + 1) in self.packs:
            done += 1
        self._run[run] = done
        self.highest_unacked = max(self.highest_unacked, pack.seq - self._acked.get(run, oldest - 1))
        if self.acking and done - self._acked.get(run, 0) >= self._ack_packs:
            self._ack(site, gateway, pack.boot, done)

    def _ack(self, site: str, gateway: str, boot: str, seq: int) -> None:
        if seq > self._acked.get((gateway, boot), 0):
            self._acked[gateway, boot] = seq
            self._client.publish(gateway_topic(site, gateway, "ack"), to_json(Ack(boot=boot, seq=seq)), 1, retain=True)

    def decoded(self) -> list[Pack]:
        """Return all packs, once each."""
        return [from_either(Pack, payload) for payload in self.packs.values()]

    def close(self) -> None:
        """Disconnect; the session stays."""
        self._client.disconnect()
        self._client.loop_stop()
