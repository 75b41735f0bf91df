"""A model of the pipeline in plain Python: gateways, broker, bridge, Kafka, job; what each may lose or repeat.

The bridge is the real core (`connectors.mqtt.core.Bridge`); everything around it is a stand-in with the same promises
as the real part and no more. One clock, in milliseconds, drives all of it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from connectors.mqtt.core import Bridge, Options
from connectors.mqtt.heartbeat import Past
from connectors.mqtt.messages import Message, Puback, Publish, Send
from connectors.mqtt.tables import TableStore
from connectors.wire.ledger import DeadLetter
from connectors.wire.pack import OLDEST_SEQ, SENT_MS, Ack, Pack
from connectors.wire.partition import shard_of
from connectors.wire.record import Heartbeat, Readings, decode_record
from connectors.wire.series import Series, SeriesTable, series_table
from connectors.wire.topics import DEAD_LETTERS, READINGS, SERIES_TABLES, gateway_topic
from connectors.wire.versions import from_json, from_msgpack, to_json, to_msgpack

ORIGIN_MS = 1_700_000_000_000
STEP_MS = 250
GRID_MS = 2_000
WINDOW_MS = 4_000
DISORDER_MS = 10_000
GRACE_MS = 3_000
ACK_TIMEOUT_MS = 5_000
UNACKED_PACKS = 64
SHARDS = 2
RECEIVE_MAXIMUM = 20

Reading = tuple[str, str, int, int]
"""Gateway, boot, sequence number, index: what the books count."""


@dataclass
class Packet:
    """What lies in the broker for the bridge."""

    topic: str
    payload: bytes
    properties: dict[str, str]
    mid: int = 0


class Broker:
    """Mosquitto with one persistent session, the bridge's. Killed, it may lose what it had taken."""

    def __init__(self) -> None:
        self.up = True
        self.queue: deque[Packet] = deque()
        self.inflight: deque[Packet] = deque()
        self.retained: dict[str, bytes] = {}
        self.session = False
        self.connection = 0
        self.lives = 0
        self._mids = count(1)

    def publish(
        self, topic: str, payload: bytes, properties: dict[str, str] | None = None, *, retain: bool = False
    ) -> bool:
        """Take a message; False if nobody is there to take it."""
        if not self.up:
            return False
        if retain:
            self.retained[topic] = payload
        if self.session and not topic.endswith("/ack"):
            self.queue.append(Packet(topic, payload, properties or {}))
        return True

    def connect(self, *, first: bool) -> bool:
        """Connect the bridge: what it had not acknowledged goes back to the front; whether the session was there."""
        kept, self.session = self.session, True
        self.connection += 1
        self.queue.extendleft(reversed(self.inflight))
        self.inflight.clear()
        if first or not kept:
            for topic, payload in self.retained.items():
                if "/series/" in topic:
                    self.queue.append(Packet(topic, payload, {}))
        return kept

    def deliver(self) -> list[Packet]:
        """Send what the receive maximum allows."""
        out = []
        while self.queue and len(self.inflight) < RECEIVE_MAXIMUM:
            packet = self.queue.popleft()
            # Packet ids are used again on each connection.
            packet.mid = next(self._mids) % 50 + 1
            self.inflight.append(packet)
            out.append(packet)
        return out

    def puback(self, connection: int, mid: int) -> None:
        """Take an acknowledgement, which must be the oldest's of this connection."""
        if not self.up:
            return
        assert connection == self.connection, "acknowledged on another connection"
        assert self.inflight, "acknowledged what was not sent"
        assert self.inflight[0].mid == mid, "acknowledged out of order"
        self.inflight.popleft()

    def kill(self, kept: int | None) -> None:
        """Crash; `kept` of the queued messages were saved, None loses the session and what was retained too."""
        self.up = False
        self.lives += 1
        if kept is None:
            self.session = False
            self.queue.clear()
            self.inflight.clear()
            self.retained.clear()
            return
        self.queue = deque([*self.inflight, *self.queue][:kept])
        self.inflight.clear()


@dataclass
class Gateway:
    """A device with an outbox: it keeps each pack until the bridge says that it is in Kafka."""

    name: str
    table: SeriesTable
    site: str = "s"
    boot: str = "b"
    ahead_ms: int = 0
    online: bool = True
    linked: bool = False
    life: int = 0
    outbox: dict[int, Pack] = field(default_factory=dict)
    next_seq: int = 1
    cursor: int = 1
    progress_ms: int = ORIGIN_MS
    sent: set[Reading] = field(default_factory=set)
    acked: int = 0
    copies: int = 0

    def clock(self, now_ms: int) -> int:
        """Return the gateway's own time."""
        return now_ms + self.ahead_ms

    def commit(self, now_ms: int, spread_ms: int, readings: int, bad: frozenset[int] = frozenset()) -> None:
        """Put a pack with readings of the last `spread_ms` into the outbox."""
        base = self.clock(now_ms) - spread_ms
        offsets = [int(spread_ms * i / readings) for i in range(readings)]
        values = [None if i in bad else float(i) for i in range(readings)]
        pack = Pack(
            boot=self.boot,
            seq=self.next_seq,
            table=self.table.id,
            base_ms=base,
            offsets_ms=list(offsets),
            series=[0] * readings,
            values=values,
        )
        self.outbox[self.next_seq] = pack
        self.sent |= {(self.name, self.boot, self.next_seq, i) for i in range(readings)}
        self.next_seq += 1

    def step(self, broker: Broker, now_ms: int) -> None:
        """Connect, hear acknowledgements, send."""
        if not self.online or not broker.up:
            self.linked = False
            return
        if not self.linked or self.life != broker.lives:
            self.linked, self.life = True, broker.lives
            self.cursor, self.progress_ms = min(self.outbox, default=self.next_seq), now_ms
            broker.publish(
                gateway_topic(self.site, self.name, "series", self.table.id), to_json(self.table), retain=True
            )
        self._hear(broker, now_ms)
        if self.outbox and self.cursor > min(self.outbox) and now_ms - self.progress_ms >= ACK_TIMEOUT_MS:
            self.cursor, self.progress_ms = min(self.outbox), now_ms
            self.copies += 1
        while self.cursor < self.next_seq and self.cursor < min(self.outbox) + UNACKED_PACKS:
            pack = self.outbox[self.cursor]
            properties = {SENT_MS: str(self.clock(now_ms)), OLDEST_SEQ: str(min(self.outbox))}
            broker.publish(gateway_topic(self.site, self.name, "packs"), to_msgpack(pack), properties)
            self.cursor += 1

    def _hear(self, broker: Broker, now_ms: int) -> None:
        payload = broker.retained.get(gateway_topic(self.site, self.name, "ack"))
        if payload is None:
            return
        ack = from_json(Ack, payload)
        if ack.boot == self.boot and ack.seq > self.acked:
            self.acked, self.progress_ms = ack.seq, now_ms
            self.outbox = {seq: pack for seq, pack in self.outbox.items() if seq > ack.seq}
            self.cursor = max(self.cursor, ack.seq + 1)


class Kafka:
    """Topics as lists; what is in them stays."""

    def __init__(self) -> None:
        self.up = True
        self.readings: list[list[tuple[int, bytes, int]]] = [[] for _ in range(SHARDS)]
        self.tables: dict[str, bytes] = {}
        self.dead: list[DeadLetter] = []

    def write(self, send: Send, now_ms: int) -> None:
        """Append a record."""
        if send.topic == READINGS:
            assert send.partition is not None and send.timestamp_ms is not None
            self.readings[send.partition].append((send.timestamp_ms, send.value, now_ms))
        elif send.topic == SERIES_TABLES:
            self.tables[(send.key or b"").decode()] = send.value
        elif send.topic == DEAD_LETTERS:
            self.dead.append(from_msgpack(DeadLetter, send.value))

    def past(self) -> Past:
        """Return what a bridge reads at its start."""
        stamped: dict[int, int] = {}
        newest: dict[int, int] = {}
        for shard, records in enumerate(self.readings):
            for stamp, value, _ in records:
                newest[shard] = max(newest.get(shard, 0), stamp)
                record = decode_record(value)
                if isinstance(record, Heartbeat):
                    stamped[shard] = max(stamped.get(shard, 0), record.time_ms)
        return Past(stamped, newest)

    def contents(self) -> dict[Reading, int]:
        """Return every reading there is, with the time at which its first copy was written."""
        found: dict[Reading, int] = {}
        for records in self.readings:
            for _, value, written in records:
                for reading in readings_of(decode_record(value)):
                    found[reading] = min(written, found.get(reading, written))
        return found

    def cells(self) -> dict[Reading, int]:
        """Return the cell of every reading, which lies in the same window."""
        found: dict[Reading, int] = {}
        for records in self.readings:
            for _, value, _ in records:
                record = decode_record(value)
                found |= {r: record.cell_ms for r in readings_of(record)} if isinstance(record, Readings) else {}
        return found

    def dead_readings(self, gateways: Iterable[Gateway]) -> set[Reading]:
        """Return the readings that have a dead letter."""
        sizes = {(g.name, g.boot, seq): 0 for g in gateways for seq in range(1, g.next_seq)}
        for gateway in gateways:
            for _, boot, seq, _index in gateway.sent:
                sizes[gateway.name, boot, seq] += 1
        out = set()
        for letter in self.dead:
            indexes = letter.indexes or range(sizes.get((letter.gateway, letter.boot, letter.seq), 0))
            out |= {(letter.gateway, letter.boot, letter.seq, index) for index in indexes}
        return out


def readings_of(record: Readings | Heartbeat) -> list[Reading]:
    """Return the readings of a record."""
    if isinstance(record, Heartbeat):
        return []
    return [
        (part.gateway, part.boot, part.seq, int(index))
        for part in record.parts
        for index in (np.frombuffer(part.index, "<u4") if part.index else range(len(part.values) // 8))
    ]


class Host:
    """The process that the bridge's core runs in."""

    def __init__(self, bridge_type: type[Bridge] = Bridge, last_ms: int | None = None) -> None:
        self._type = bridge_type
        self._last_ms = last_ms
        self.core: Bridge | None = None
        self.linked = False
        self.waiting: deque[Send] = deque()
        self._generation = 0
        self._life = 0
        self._nonces = count()

    def start(self, kafka: Kafka) -> None:
        """Start a new process."""
        tables = TableStore(from_json(SeriesTable, value) for value in kafka.tables.values())
        options = Options(
            shards=SHARDS,
            grid_ms=GRID_MS,
            disorder_ms=DISORDER_MS,
            linger_ms=20,
            heartbeat_grace_ms=GRACE_MS,
            last_heartbeat_ms=self._last_ms,
        )
        self.core = self._type(options, lambda: f"{next(self._nonces)}", tables, kafka.past())
        self.linked, self._generation = False, 0
        self.waiting.clear()

    def kill(self, kafka: Kafka, written: int, now_ms: int) -> None:
        """Kill the process; of what it had handed to Kafka's client, `written` records got there unreported."""
        for send in list(self.waiting)[:written] if kafka.up else ():
            kafka.write(send, now_ms)
        self.core, self.linked = None, False
        self.waiting.clear()

    def step(self, broker: Broker, kafka: Kafka, now_ms: int) -> None:
        """Let the process run for a moment."""
        core = self.core
        if core is None:
            return
        if self.linked and broker.lives != self._life:
            self.linked = False
            core.disconnected(now_ms)
        if not self.linked and broker.up:
            self._life = broker.lives
            broker.connect(first=self._generation == 0)
            self._generation += 1
            self.linked = True
            core.connected(self._generation, now_ms, now_ms)
        for _ in range(6):  # A step of the model is long for the bridge: what it asks for comes back within it.
            for packet in broker.deliver() if self.linked else ():
                core.take(self._message(packet, now_ms), now_ms)
            core.tick(now_ms, now_ms)
            self._act(core, broker, kafka, now_ms)

    def _message(self, packet: Packet, now_ms: int) -> Message:
        return Message(
            packet.topic, packet.payload, now_ms, self._generation, packet.mid, 1, False, properties=packet.properties
        )

    def stop(self, broker: Broker, kafka: Kafka, now_ms: int) -> None:
        """SIGTERM: drain and leave."""
        if self.core is not None:
            for _ in range(3):
                self.core.flush(now_ms)
                self._act(self.core, broker, kafka, now_ms)
        self.core, self.linked = None, False
        self.waiting.clear()

    def _act(self, core: Bridge, broker: Broker, kafka: Kafka, now_ms: int) -> None:
        while core.effects:
            effect = core.effects.popleft()
            if isinstance(effect, Send):
                self.waiting.append(effect)
            elif isinstance(effect, Puback):
                if self.linked and broker.lives == self._life and effect.generation == self._generation:
                    broker.puback(broker.connection, effect.mid)
            elif isinstance(effect, Publish) and self.linked:
                broker.publish(effect.topic, effect.payload, retain=effect.retain)
        while self.waiting and kafka.up:
            send = self.waiting.popleft()
            kafka.write(send, now_ms)
            core.delivered(send)


@dataclass
class Fired:
    """A window that was judged."""

    shard: int
    start_ms: int
    readings: set[Reading]
    duplicates: int
    observed: bool


@dataclass
class ShardWork:
    """The job's state of one shard; the watermark is not part of a checkpoint."""

    offset: int = 0
    newest_ms: int | None = None
    watermark_ms: int | None = None
    windows: dict[int, list[bytes]] = field(default_factory=dict)
    last_end_ms: int = 0
    fired: list[Fired] = field(default_factory=list)
    late: set[Reading] = field(default_factory=set)
    late_copies: int = 0
    judged: set[Reading] = field(default_factory=set)


class Job:
    """The detection job: exactly-once between checkpoints; watermarks lag behind the records and restart at nothing."""

    def __init__(self) -> None:
        self.shards = [ShardWork() for _ in range(SHARDS)]
        self._saved = deepcopy(self.shards)
        self.undecodable = 0

    def checkpoint(self) -> None:
        """Save the state and commit the outputs."""
        self._saved = deepcopy(self.shards)

    def restore(self) -> None:
        """Crash and come back: outputs since the checkpoint are aborted, watermarks start over."""
        self.shards = deepcopy(self._saved)
        for work in self.shards:
            work.newest_ms = work.watermark_ms = None

    def step(self, kafka: Kafka, limit: int) -> None:
        """Read up to `limit` records of each partition; the watermark is emitted once, after them."""
        for shard, work in enumerate(self.shards):
            for stamp, value, _ in kafka.readings[shard][work.offset : work.offset + limit]:
                work.offset += 1
                self._take(work, stamp, value)
            if work.newest_ms is not None:
                self._emit(shard, work, work.newest_ms - DISORDER_MS)

    def _take(self, work: ShardWork, stamp: int, value: bytes) -> None:
        start = stamp // WINDOW_MS * WINDOW_MS
        if work.watermark_ms is not None and start + WINDOW_MS - 1 <= work.watermark_ms:
            self._late(work, value)
        else:
            work.windows.setdefault(start, []).append(value)
        work.newest_ms = stamp if work.newest_ms is None else max(work.newest_ms, stamp)

    def _emit(self, shard: int, work: ShardWork, watermark: int) -> None:
        work.watermark_ms = watermark if work.watermark_ms is None else max(work.watermark_ms, watermark)
        for start in sorted(work.windows):
            if start + WINDOW_MS - 1 <= work.watermark_ms:
                self._fire(shard, work, start, work.windows.pop(start))

    def _fire(self, shard: int, work: ShardWork, start: int, values: list[bytes]) -> None:
        if start + WINDOW_MS <= work.last_end_ms:
            for value in values:
                self._late(work, value)
            return
        work.last_end_ms = start + WINDOW_MS
        records = [decode_record(value) for value in values]
        found = [reading for record in records for reading in readings_of(record)]
        observed = any(isinstance(record, Heartbeat) for record in records)
        tables = {table.id for record in records if isinstance(record, Readings) for table in record.tables}
        needed = {part.table for record in records if isinstance(record, Readings) for part in record.parts}
        self.undecodable += len(needed - tables)
        again = set(found) & work.judged
        assert not again, f"judged twice: {again}"
        work.judged |= set(found)
        work.fired.append(Fired(shard, start, set(found), len(found) - len(set(found)), observed))

    def _late(self, work: ShardWork, value: bytes) -> None:
        record = decode_record(value)
        for reading in readings_of(record):
            if reading in work.judged or reading in work.late:
                work.late_copies += 1
            else:
                work.late.add(reading)
        if isinstance(record, Readings):
            self.undecodable += len({part.table for part in record.parts} - {table.id for table in record.tables})

    def judged(self) -> set[Reading]:
        """Return everything judged."""
        return set().union(*(work.judged for work in self.shards))

    def late(self) -> set[Reading]:
        """Return everything late."""
        return set().union(*(work.late for work in self.shards))


class World:
    """All parts together."""

    def __init__(self, gateways: int = 4, *, bridge_type: type[Bridge] = Bridge, last_ms: int | None = None) -> None:
        self.now_ms = ORIGIN_MS
        self.broker = Broker()
        self.kafka = Kafka()
        self.host = Host(bridge_type, last_ms)
        self.job = Job()
        self.gateways = [self._gateway(number) for number in range(gateways)]
        self.host.start(self.kafka)
        self.reading_every_ms = 1_000
        self.job_limit = 1_000

    @staticmethod
    def _gateway(number: int) -> Gateway:
        return Gateway(f"gw-{number}", series_table((Series(f"d{number}", "temperature", "Cel"),)))

    def advance(self, milliseconds: int) -> None:
        """Let time pass; each gateway commits a pack a second."""
        for _ in range(milliseconds // STEP_MS):
            self.now_ms += STEP_MS
            if (self.now_ms - ORIGIN_MS) % self.reading_every_ms == 0:
                for gateway in self.gateways:
                    gateway.commit(self.now_ms, self.reading_every_ms, 4)
            self.quiet_step()

    def quiet_step(self) -> None:
        """Let every part run, without new readings."""
        for gateway in self.gateways:
            gateway.step(self.broker, self.now_ms)
        self.host.step(self.broker, self.kafka, self.now_ms)
        self.job.step(self.kafka, self.job_limit)
        self.check_always()

    def heal(self) -> None:
        """End every fault."""
        self.broker.up = self.kafka.up = True
        for gateway in self.gateways:
            gateway.online = True
        if self.host.core is None:
            self.host.start(self.kafka)
        self.job_limit = 1_000

    def settle(self, milliseconds: int) -> None:
        """Let time pass without new readings."""
        for _ in range(milliseconds // STEP_MS):
            self.now_ms += STEP_MS
            self.quiet_step()

    def check_always(self) -> None:
        """Assert what must hold at every moment: what a gateway has let go of is in Kafka, or has a dead letter."""
        gone = [gateway for gateway in self.gateways if gateway.acked]
        if not gone:
            return
        safe = self._safe()
        for gateway in gone:
            for _, boot, seq, index in gateway.sent:
                if seq <= gateway.acked:
                    assert (gateway.name, boot, seq, index) in safe, (
                        f"acknowledged and lost: {gateway.name} {seq} {index}"
                    )

    def _safe(self) -> set[Reading]:
        sizes = tuple(len(records) for records in self.kafka.readings), len(self.kafka.dead)
        if getattr(self, "_safe_at", None) != sizes:
            self._safe_at = sizes
            self._safe_set = set(self.kafka.contents()) | self.kafka.dead_readings(self.gateways)
        return self._safe_set

    def books(self) -> dict[str, set[Reading]]:
        """Return the books as sets."""
        sent = set().union(*(gateway.sent for gateway in self.gateways))
        waiting = {r for g in self.gateways for r in g.sent if r[2] in g.outbox}
        dead = self.kafka.dead_readings(self.gateways)
        judged, late = self.job.judged(), self.job.late()
        return {
            "sent": sent,
            "judged": judged,
            "late": late,
            "dead": dead,
            "waiting": waiting - judged - late - dead,
            "lost": sent - set(self.kafka.contents()) - dead - waiting,
        }

    def check_closed(self) -> None:
        """Assert that the books close: each reading sent is judged, late, dead or waiting, and only one of them."""
        books = self.books()
        assert not books["lost"], f"lost: {sorted(books['lost'])[:5]}"
        parts = [books[name] for name in ("judged", "late", "dead", "waiting")]
        assert set().union(*parts) == books["sent"]
        assert sum(map(len, parts)) == len(books["sent"]), "a reading counts twice"
        assert self.job.undecodable == 0, "a window or a late record lacks a series table"

    def fired(self) -> dict[int, list[Fired]]:
        """Return the windows judged, by shard."""
        out: dict[int, list[Fired]] = defaultdict(list)
        for work in self.job.shards:
            for fired in work.fired:
                out[fired.shard].append(fired)
        return out

    def shard(self, gateway: Gateway) -> int:
        """Return a gateway's shard."""
        return shard_of(gateway.name, SHARDS)
