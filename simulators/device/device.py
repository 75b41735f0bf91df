"""A gateway: its outbox, what to send next, and its connection, stepped by a loop."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from connectors.kit.clock import Clock
from connectors.wire.pack import OLDEST_SEQ, SENT_MS, Ack, Status
from connectors.wire.series import SeriesTable
from connectors.wire.topics import gateway_topic
from connectors.wire.versions import WireError, from_json, to_json
from simulators.device.backoff import Backoff
from simulators.device.draft import Draft, Encoding
from simulators.device.link import Broker, Connected, Event, Failed, Link, Lost, Received, Subscribed, Taken, Will
from simulators.device.outbox import Counts, Outbox, Synchronous
from simulators.device.sender import Sender, SendLimits

_LOG = logging.getLogger("tidemark.device")
_READY_TIMEOUT_MS = 10_000
"""A broker that takes the connection and then never answers is given up after this."""

_PACKET_OVERHEAD = 512
"""Room for topic and properties beside the payload in the broker's packet limit."""


@dataclass(frozen=True)
class DeviceOptions:
    """What a gateway is called and how careful it is; see `Outbox` and `SendLimits` for the parts."""

    site: str
    gateway: str
    outbox: Path
    limits: SendLimits = field(default_factory=SendLimits)
    synchronous: Synchronous = "FULL"
    ledger: bool = False
    encoding: Encoding = "msgpack"
    limit_bytes: int = 60_000
    limit_packs: int = 1_000_000


@dataclass(frozen=True)
class DeviceStats:
    """What a gateway did since it was opened; `counts` since its outbox was created."""

    counts: Counts
    publishes: int
    resent: int
    connections: int
    refused: int
    failures: int
    ready: bool
    first_ack_ms: int | None
    last_ack_ms: int | None


class Device:
    """One gateway. `submit` may be called from any thread; `step`, `readable` and `close` belong to the loop's.

    Times given to `step` are milliseconds of a monotonic wall clock; `clock` is the device's own, which stamps what it
    sends.
    """

    def __init__(self, options: DeviceOptions, broker: Broker, clock: Clock, rng: Random) -> None:
        self.options = options
        self.outbox = Outbox(
            options.outbox,
            options.gateway,
            synchronous=options.synchronous,
            ledger=options.ledger,
            encoding=options.encoding,
            limit_bytes=options.limit_bytes,
            limit_packs=options.limit_packs,
        )
        self._broker = broker
        self._clock = clock
        self._sender = Sender(options.limits, self.outbox.acked_seq, self.outbox.last_seq)
        self._backoff = Backoff(broker.reconnect_min_s, broker.reconnect_max_s, rng)
        self._link: Link | None = None
        self._connected: Connected | None = None
        self._ready = False
        self._connect_at_ms: int | None = None
        self._ready_by_ms = 0
        self._greeting: int | None = None
        self._mids: dict[int, int] = {}
        self._told_tables: set[str] = set()
        self._publishes = self._connections = self._refused = self._failures = 0
        self._first_ack_ms: int | None = None
        self._last_ack_ms: int | None = None
        self._too_large = 0

    def declare(self, table: SeriesTable) -> None:
        """Make a series table known; its packs may follow."""
        self.outbox.declare(table)

    def submit(self, drafts: list[Draft]) -> range:
        """Commit readings to the outbox and return their sequence numbers; they are on disk when this returns."""
        return self.outbox.append(drafts)

    @property
    def idle(self) -> bool:
        """Whether everything committed is acknowledged."""
        return self.outbox.acked_seq >= self.outbox.last_seq

    def stats(self) -> DeviceStats:
        """Return what happened so far."""
        return DeviceStats(
            counts=self.outbox.counts(),
            publishes=self._publishes,
            resent=self._sender.resent,
            connections=self._connections,
            refused=self._refused,
            failures=self._failures,
            ready=self._ready,
            first_ack_ms=self._first_ack_ms,
            last_ack_ms=self._last_ack_ms,
        )

    # The loop's side

    def link(self) -> Link | None:
        """Return the connection whose socket the loop watches."""
        return self._link

    def wants_connect(self, now_ms: int) -> bool:
        """Whether an attempt to connect is due."""
        return self._link is None and (self._connect_at_ms is None or now_ms >= self._connect_at_ms)

    def connect(self, now_ms: int) -> None:
        """Try to connect."""
        topic = gateway_topic(self.options.site, self.options.gateway, "status")
        client_id = f"tidemark-{self.options.site}-{self.options.gateway}"
        link = Link(self._broker, client_id, Will(topic, self._status("offline")))
        try:
            link.open()
        except (OSError, ValueError) as error:
            self._retry(now_ms, str(error))
            return
        self._link = link
        self._ready_by_ms = now_ms + _READY_TIMEOUT_MS

    def step(self, now_ms: int) -> None:
        """Take in what came, and send what is due."""
        if self._link is None:
            return
        self._link.misc()
        self._take_events(now_ms)
        if self._link is None:
            return
        if not self._ready:
            if now_ms >= self._ready_by_ms:
                self._lost(now_ms, "the broker didn't answer")
            return
        self._sender.committed(self.outbox.last_seq)
        if self._sender.stuck(now_ms):
            self._lost(now_ms, "a PUBACK is overdue")
            return
        self._send(now_ms)
        self._take_events(now_ms)

    def fail(self, now_ms: int, error: Exception) -> None:
        """Give the connection up after an error of ours (a full disk, a bug), report it, and try again later."""
        self._failures += 1
        _LOG.error("gateway %s: %s", self.options.gateway, error, exc_info=error)
        self._lost(now_ms, f"failed: {error}")

    def close(self) -> None:
        """Say offline and goodbye; the outbox keeps what is not acknowledged."""
        if self._link is not None and self._ready:
            topic = gateway_topic(self.options.site, self.options.gateway, "status")
            self._link.publish(topic, self._status("offline"), retain=True)
            self._link.close()
        elif self._link is not None:
            self._link.abandon()
        self._link = None
        self.outbox.close()

    def _status(self, state: str) -> bytes:
        status = Status(
            state="online" if state == "online" else "offline",
            boot=self.outbox.boot,
            client="tidemark",
            since_ms=self._clock.now_ms(),
        )
        return to_json(status)

    def _take_events(self, now_ms: int) -> None:
        while self._link is not None and self._link.events:
            self._take(self._link, self._link.events.popleft(), now_ms)

    def _take(self, link: Link, event: Event, now_ms: int) -> None:
        match event:
            case Connected():
                self._connected = event
                link.subscribe(gateway_topic(self.options.site, self.options.gateway, "ack"))
            case Subscribed(problem):
                self._subscribed(link, problem, now_ms)
            case Taken(mid, problem, unheard):
                self._puback(mid, problem, unheard, now_ms)
            case Received(_, payload):
                self._received(payload, now_ms)
            case Lost(reason):
                self._lost(now_ms, reason)
            case Failed(error):
                self.fail(now_ms, error)

    def _subscribed(self, link: Link, problem: str, now_ms: int) -> None:
        if self._connected is None or problem:
            self._lost(now_ms, f"the broker refused the subscription to acks: {problem}")
            return
        self._told_tables.clear()
        self._mids.clear()
        topic = gateway_topic(self.options.site, self.options.gateway, "status")
        self._greeting = link.publish(topic, self._status("online"), retain=True)

    def _greeted(self, connected: Connected, now_ms: int) -> None:
        """Begin to send. The broker answers in order: what it retained of our acks came before this."""
        self._greeting = None
        self._ready = True
        self._connections += 1
        self._backoff.reset()
        self._sender.connected(connected.receive_maximum, now_ms)

    def _puback(self, mid: int, problem: str, unheard: bool, now_ms: int) -> None:
        seq = self._mids.pop(mid, None)
        if problem:
            self._refused += 1
            what = "a table or its status" if seq is None else f"pack {seq}"
            _LOG.warning("gateway %s: the broker refused %s: %s", self.options.gateway, what, problem)
        if mid == self._greeting and self._connected is not None:
            self._greeted(self._connected, now_ms)
        if seq is None:
            return
        if problem:
            self._sender.refused(seq)
        elif unheard:
            self._sender.unheard(seq, now_ms)
        else:
            self._sender.taken(seq)

    def _received(self, payload: bytes, now_ms: int) -> None:
        try:
            ack = from_json(Ack, payload)
        except WireError as error:
            self._failures += 1
            _LOG.warning("gateway %s: an ack that can't be read: %s", self.options.gateway, error)
            return
        if ack.boot == self.outbox.boot and ack.seq > self.outbox.last_seq:
            # Only a copy of an outbox, put back, can be behind its own acks; deleting would lose what is new in it.
            self._failures += 1
            _LOG.error("gateway %s: ack of %d, but only %d exist", self.options.gateway, ack.seq, self.outbox.last_seq)
            return
        self.outbox.acknowledge(ack.boot, ack.seq)
        if self._sender.acknowledged(self.outbox.acked_seq, now_ms):
            self._last_ack_ms = now_ms
            self._first_ack_ms = self._first_ack_ms or now_ms

    def _send(self, now_ms: int) -> None:
        """Publish what the core says, reading the outbox in runs."""
        waiting: dict[int, bytes] = {}
        for seq in self._sender.due(now_ms):
            link = self._link
            if link is None:
                return
            if seq not in waiting:
                waiting = dict(self.outbox.payloads(seq, self._sender.room()))
            if not self._publish(link, seq, waiting[seq], now_ms):
                return

    def _publish(self, link: Link, seq: int, payload: bytes, now_ms: int) -> bool:
        """Publish one pack; return whether to go on."""
        limit = self._connected.packet_limit if self._connected else 0
        if limit and len(payload) + _PACKET_OVERHEAD > limit:
            self._report_too_large(seq, len(payload), limit)
            return False
        self._tell_tables(link)
        user = {SENT_MS: str(self._clock.now_ms()), OLDEST_SEQ: str(self.outbox.acked_seq + 1)}
        topic = gateway_topic(self.options.site, self.options.gateway, "packs")
        self._mids[link.publish(topic, payload, user=user)] = seq
        self._publishes += 1
        self._sender.published(seq, now_ms)
        return not any(isinstance(event, Lost) for event in link.events)

    def _tell_tables(self, link: Link) -> None:
        """Publish the series tables that this connection hasn't seen, before a pack needs them."""
        tables = self.outbox.tables
        if len(self._told_tables) == len(tables):
            return
        for table in tables.values():
            if table.id not in self._told_tables:
                topic = gateway_topic(self.options.site, self.options.gateway, "series", table.id)
                link.publish(topic, to_json(table), retain=True)
                self._told_tables.add(table.id)

    def _report_too_large(self, seq: int, size: int, limit: int) -> None:
        if seq != self._too_large:
            self._too_large = seq
            self._refused += 1
            _LOG.error(
                "gateway %s: pack %d has %d bytes, the broker takes packets of %d; it stays in the outbox, with those "
                "behind it, until the broker's max_packet_size is raised",
                self.options.gateway, seq, size, limit,
            )  # fmt: skip

    def _lost(self, now_ms: int, reason: str) -> None:
        if self._link is not None:
            self._link.abandon()
        self._link = None
        self._connected = self._greeting = None
        self._ready = False
        self._sender.disconnected()
        self._retry(now_ms, reason)

    def _retry(self, now_ms: int, reason: str) -> None:
        delay_s = self._backoff.next_s()
        self._connect_at_ms = now_ms + int(delay_s * 1000)
        _LOG.info("gateway %s: no connection (%s); next attempt in %.1f s", self.options.gateway, reason, delay_s)
