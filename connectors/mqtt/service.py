"""The bridge as a process: joins the core with MQTT, Kafka, clocks and metrics. One thread runs the core."""

import queue
import secrets
import time
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from prometheus_client.registry import Collector

from connectors.kit.kafka import producer
from connectors.kit.metrics import new_registry, serve_metrics
from connectors.kit.service import Service
from connectors.kit.settings import Settings, SettingsError
from connectors.mapping.load import MappingError, load_mappings
from connectors.mapping.mappings import Mappings
from connectors.mqtt.core import Bridge, Options
from connectors.mqtt.intake import Intake
from connectors.mqtt.kafka_port import KafkaPort
from connectors.mqtt.messages import Message, Puback, Send
from connectors.mqtt.metrics import BridgeMetrics
from connectors.mqtt.mqtt_port import MqttPort
from connectors.mqtt.past import load_past, load_skewed, load_tables

TICK_SECONDS = 0.01
"""How often the core is told the time when nothing comes in: half of the shortest wait it has (the linger)."""

BATCH = 256
"""Messages taken between two looks at the clock and at Kafka's reports."""

WATCH_SECONDS = 1.0
"""Between two looks at the network thread."""

ASLEEP_SECONDS = 5.0
"""After so long between two looks the whole process was stopped, and the network thread has a right to be behind."""

DRAIN_SECONDS = 6.0
"""How long Kafka may take to deliver what is left at a stop; with the rest of the drain it stays under 10 s."""

LEAVE_SECONDS = 1.5
"""How long the broker may take for the last acknowledgements, and then for the disconnect."""


@dataclass(frozen=True)
class Link:
    """The connection came (its generation) or went (None)."""

    generation: int | None
    session_present: bool


def options(settings: Settings) -> Options:
    """Return the core's options."""
    bridge, times = settings.bridge, settings.time
    return Options(
        shards=settings.topics.shards,
        grid_ms=times.grid_ms,
        disorder_ms=times.disorder_ms,
        future_limit_ms=times.future_limit_ms,
        skew_limit_ms=times.skew_limit_ms,
        table_hold_ms=bridge.table_hold_ms,
        linger_ms=bridge.linger_ms,
        record_bytes=bridge.record_bytes,
        payload_bytes=bridge.payload_bytes,
        ack_packs=bridge.ack_packs,
        ack_ms=bridge.ack_ms,
        heartbeat_grace_ms=bridge.heartbeat_grace_ms,
        last_heartbeat_ms=bridge.last_heartbeat_ms,
        client_id=bridge.client_id,
    )


def mappings_of(settings: Settings) -> Mappings:
    """Return the mappings of the file that the settings name.

    Raises
    ------
    SettingsError
        If it can't be used.
    """
    file = settings.mqtt.mappings_file
    try:
        return Mappings() if file is None else load_mappings(file)
    except MappingError as error:
        raise SettingsError(f"mqtt.mappings_file: {error}") from error


class BridgeService:
    """The running bridge."""

    def __init__(self, service: Service) -> None:
        self._service = service
        settings = service.settings
        self._log = service.log
        self._clock = service.clock
        mappings = mappings_of(settings)
        tables = load_tables(settings.kafka)
        past, written = load_past(settings)
        self.core = Bridge(
            options(settings),
            lambda: secrets.token_hex(8),
            tables,
            past,
            load_skewed(settings.kafka),
            intake=Intake(mappings, written),
        )
        self._log.info("loaded", tables=len(tables), heartbeats=len(past.stamped), mappings=len(mappings))
        self._kafka = KafkaPort(
            producer(settings.kafka),
            delivered=self.core.delivered,
            refused=self.core.refused,
            tally=self.core.tally,
            now=time.monotonic,
        )
        # No SimpleQueue: a signal while its `get` waits with a timeout can make it wait for ever (CPython 3.11).
        self._inbox: queue.Queue[Message | Link] = queue.Queue()
        # Room for all that the broker may send unacknowledged; beyond it (QoS 0) the socket waits.
        self._room = 2 * settings.bridge.max_inflight
        self._taking = True
        self._mqtt = MqttPort(
            settings.mqtt,
            settings.bridge.client_id,
            settings.bridge.max_inflight,
            foreign=mappings.filters,
            on_message=self._arrived,
            on_link=self._linked,
            log=self._log,
        )
        self._watch_s = 0.0

    def run(self) -> None:
        """Bridge until the service is to stop, then drain."""
        settings = self._service.settings
        registry = new_registry()
        metrics = BridgeMetrics(
            self.core,
            now_ms=self._clock.now_ms,
            connected=lambda: self._mqtt.ready,
            kafka_pending=self._kafka.pending,
        )
        collector: Collector = metrics
        registry.register(collector)
        server = serve_metrics(settings.bridge.metrics_port, lambda: self._mqtt.ready and self._kafka.healthy, registry)
        self._mqtt.start()
        try:
            while not self._service.stop.is_set():
                self._turn()
            self._drain()
        finally:
            self._taking = False
            self._mqtt.stop(LEAVE_SECONDS)
            server.shutdown()

    def _turn(self) -> None:
        """Take what came, let time pass, do what the core wants."""
        try:
            item: Message | Link | None = self._inbox.get(timeout=TICK_SECONDS)
        except queue.Empty:
            item = None
        for _ in range(BATCH):
            if item is None:
                break
            self._take(item)
            try:
                item = self._inbox.get_nowait()
            except queue.Empty:
                item = None
        else:
            if item is not None:
                self._take(item)
        self._tick()
        self._watch()

    def _take(self, item: Message | Link) -> None:
        if isinstance(item, Message):
            self.core.take(item, _wall_ms())
        elif item.generation is None:
            self.core.disconnected(self._clock.now_ms())
        else:
            self._log.info("connected", generation=item.generation, session_kept=item.session_present)
            if not item.session_present:
                self.core.tally.sessions_lost += 1
            self.core.connected(item.generation, self._clock.now_ms(), _wall_ms())

    def _tick(self) -> None:
        self.core.tick(self._clock.now_ms(), _wall_ms())
        self._act()
        error = self._kafka.last_error
        self._kafka.pump()
        if self._kafka.last_error != error:
            self._log.error("delivery failed", detail=self._kafka.last_error)

    def _act(self) -> None:
        effects = self.core.effects
        while effects:
            effect = effects.popleft()
            if isinstance(effect, Send):
                self._kafka.send(effect)
            elif isinstance(effect, Puback):
                self._mqtt.acknowledge(effect.generation, effect.mid)
            else:
                self._mqtt.publish(effect.topic, effect.payload, retain=effect.retain)

    def _watch(self) -> None:
        now = time.monotonic()
        since = now - self._watch_s
        if since < WATCH_SECONDS:
            return
        self._watch_s = now
        if since < ASLEEP_SECONDS and self._mqtt.stuck():
            self._log.error("network thread is gone or stuck; building a new client")
            self.core.tally.rebuilds += 1
            self._mqtt.rebuild()

    def _drain(self) -> None:
        """Stop taking, bring what was taken into Kafka, acknowledge it, and leave; the rest stays with the broker."""
        self._taking = False
        until = time.monotonic() + DRAIN_SECONDS
        self._turn_out()
        while time.monotonic() < until:
            self.core.flush(_wall_ms())
            self._act()
            if self._kafka.flush(until) == 0 and not self.core.effects:
                break
        self.core.flush(_wall_ms())
        self._act()
        settled = self._mqtt.settle(LEAVE_SECONDS)
        self._log.info("drained", left=self.core.inflight, kafka_pending=self._kafka.pending(), settled=settled)

    def _turn_out(self) -> None:
        """Forget what came and was not taken: it is not acknowledged, so the broker keeps it."""
        while True:
            try:
                self._inbox.get_nowait()
            except queue.Empty:
                return

    # On paho's thread.

    def _arrived(self, generation: int, message: mqtt.MQTTMessage) -> None:
        if not self._taking:
            return
        properties: Any = getattr(message.properties, "UserProperty", None) or ()
        while self._inbox.qsize() >= self._room and self._taking:
            time.sleep(TICK_SECONDS)
        self._inbox.put(
            Message(
                topic=message.topic,
                payload=bytes(message.payload),
                received_ms=self._clock.now_ms(),
                generation=generation,
                mid=message.mid,
                qos=message.qos,
                retained=message.retain,
                dup=message.dup,
                properties=dict(properties),
            )
        )

    def _linked(self, generation: int | None, session_present: bool) -> None:
        self._inbox.put(Link(generation, session_present))


def _wall_ms() -> float:
    return time.monotonic() * 1000


def bridge(service: Service) -> None:
    """Run the bridge: the body that `run_service` is given."""
    BridgeService(service).run()
