"""The bridge's core: MQTT messages, delivery reports and time in; Kafka records and MQTT messages out. It does no I/O.

One thread calls it. Everything that comes out lies in `effects` until the shell takes it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from connectors.mqtt.acks import AckLedger
from connectors.mqtt.check import DeadReadings, Refused, check, check_shape
from connectors.mqtt.dropping import DROPPED_TOPIC, DropWatch
from connectors.mqtt.embedding import Embedding
from connectors.mqtt.heartbeat import Heartbeats, Past
from connectors.mqtt.intake import Intake
from connectors.mqtt.letters import readings_letter, refused_letter
from connectors.mqtt.line import Line
from connectors.mqtt.merge import Merger, OpenRecord
from connectors.mqtt.messages import Effect, Entry, Flight, Message, Puback, Publish, Send
from connectors.mqtt.payloads import read_pack, read_status, whole
from connectors.mqtt.skew import Active, SkewWatch, alert_record
from connectors.mqtt.split import Origin, Piece, split
from connectors.mqtt.tables import Hold, TableStore, read_table, table_json
from connectors.mqtt.tally import Tally
from connectors.wire.alert import AlertEvent
from connectors.wire.pack import OLDEST_SEQ, SENT_MS, Ack, Pack
from connectors.wire.partition import shard_of
from connectors.wire.record import Heartbeat, Readings, decode_record, encode_record
from connectors.wire.series import SeriesTable
from connectors.wire.topics import (
    GATEWAY_STATUS,
    READINGS,
    ROOT,
    SERIES_TABLES,
    gateway_topic,
    parse_gateway_topic,
)
from connectors.wire.versions import to_json

MAX_NAME = 200
"""Characters of a site's or gateway's name, as in series tables; longer ones are no topic of ours."""

FRESH_MS = 2_000.0
"""An echo back within this (wall time) shows a short queue in the broker: `sent_ms` can be compared with our clock."""


@dataclass(frozen=True)
class Options:
    """Settings of the core; the names are those of the settings file."""

    shards: int
    grid_ms: int = 10_000
    disorder_ms: int = 10_000
    future_limit_ms: int = 300_000
    skew_limit_ms: int = 300_000
    table_hold_ms: float = 5_000
    linger_ms: float = 20
    record_bytes: int = 262_144
    payload_bytes: int = 65_536
    ack_packs: int = 16
    ack_ms: float = 1_000
    heartbeat_grace_ms: float = 30_000
    last_heartbeat_ms: int | None = None
    client_id: str = "tidemark-bridge"


class Bridge:
    """What the bridge knows and does.

    Parameters
    ----------
    options
        Settings.
    nonce
        Returns a new unguessable text; an echo is known by it, so nobody else can move event time.
    tables, past, skewed
        From Kafka: series tables, heartbeats and stamps, clock alerts that stand.
    intake
        Takes the messages of devices that speak a form of their own; None where there are no mappings.
    """

    def __init__(
        self,
        options: Options,
        nonce: Callable[[], str],
        tables: TableStore | None = None,
        past: Past | None = None,
        skewed: dict[str, Active] | None = None,
        *,
        intake: Intake | None = None,
    ) -> None:
        self.options = options
        self.effects: deque[Effect] = deque()
        self.tally = Tally()
        self.tables = tables or TableStore()
        self.drops = DropWatch()
        self.skew = SkewWatch(options.skew_limit_ms, skewed)
        self.echo_topic = echo_topic(options.client_id)
        self._nonce = nonce
        self._intake = intake or Intake()
        self._line = Line()
        self._acks = AckLedger(options.ack_packs, options.ack_ms)
        self._hold = Hold(options.table_hold_ms)
        self._embedding = Embedding(options.grid_ms, options.disorder_ms)
        self._merger = Merger(options.linger_ms, options.record_bytes)
        self._heartbeats = Heartbeats(
            options.shards,
            grid_ms=options.grid_ms,
            disorder_ms=options.disorder_ms,
            grace_ms=options.heartbeat_grace_ms,
            last_ms=options.last_heartbeat_ms,
            past=past,
        )
        self._echoes: dict[str, tuple[int, float]] = {}
        self._fresh = False
        self._open: dict[tuple[str, str, str, int], Flight] = {}
        self._shards: dict[str, int] = {}
        self._wall_ms = 0.0

    # What comes in.

    def connected(self, generation: int, now_ms: int, wall_ms: float) -> None:
        """Note a connection to the broker."""
        self._wall_ms = wall_ms
        self.tally.connects += 1
        self._fresh = False
        self._echoes.clear()  # One that still comes back vouches for less than the next.
        self._line.connected(generation)
        self._heartbeats.connected(now_ms, wall_ms)

    def disconnected(self, now_ms: int) -> None:
        """Note that the connection is gone; what it delivered is not acknowledged any more."""
        self._line.connected(-1)
        self._heartbeats.disconnected(now_ms)

    def take(self, message: Message, wall_ms: float) -> None:
        """Take a message. Never raises for what is in it: a payload that can't be processed is a dead letter."""
        self._wall_ms = wall_ms
        self.tally.bytes_in += len(message.payload)
        entry = self._line.join(Entry(message.generation, message.mid, message.qos))
        if message.topic == self.echo_topic:
            self._take_echo(message, entry)
            return
        if message.topic == DROPPED_TOPIC:
            entry.done = True
            self._alert(self.drops.note(message.payload, message.received_ms, wall_ms))
            return
        flight = Flight(message, "", "", [entry])
        self._guard(flight, lambda: self._route(message, flight))
        if flight.entries:  # Else it was the same message again, and waits with the first.
            flight.sealed = True
            self._settle(flight)

    def delivered(self, send: Send) -> None:
        """Note that a record is in Kafka."""
        for flight in send.flights:
            flight.pending -= 1
            self._settle(flight)

    def refused(self, send: Send, detail: str) -> None:
        """Note that Kafka refuses a record for good: what is in it becomes dead letters, and is done with them."""
        self.tally.kafka_failures["refused"] += 1
        detail = f"{send.topic}: {detail}"[:400]
        if send.topic == READINGS and send.flights:
            self._refuse_parts(send, detail)
        else:
            for flight in send.flights:
                self._refuse(flight, Refused("rejected", detail))
        self.delivered(send)

    def tick(self, now_ms: int, wall_ms: float) -> None:
        """Let time pass: expire holds, close records, send heartbeats and acknowledgements."""
        self._wall_ms = wall_ms
        self._expire(wall_ms)
        for record in self._merger.due(wall_ms):
            self._close(record)
        self._leave()
        self._beat(now_ms, wall_ms)
        self._acknowledge(wall_ms)
        for event in (*self.skew.tick(now_ms, wall_ms), self.drops.tick(now_ms, wall_ms)):
            self._alert(event)

    def flush(self, wall_ms: float) -> None:
        """Close every open record and send every acknowledgement that is due, without waiting: the bridge stops."""
        self._wall_ms = wall_ms
        for record in self._merger.due(wall_ms, everything=True):
            self._close(record)
        self._leave()
        self._acknowledge(wall_ms, everything=True)

    def _alert(self, event: AlertEvent | None) -> None:
        if event is not None:
            self.effects.append(alert_record(event, f"/tidemark/bridge/{self.options.client_id}"))

    # What it holds, for metrics and for the drain.

    @property
    def inflight(self) -> int:
        """Messages received and not yet in Kafka (or behind one that isn't)."""
        return len(self._line)

    @property
    def held(self) -> int:
        """Packs that wait for their series table."""
        return len(self._hold)

    def oldest_ms(self) -> int | None:
        """Return the receive time (injected clock) of the oldest pack not yet in Kafka, or None."""
        flight = next(iter(self._open.values()), None)
        return None if flight is None else flight.message.received_ms

    # Messages.

    def _guard(self, flight: Flight, work: Callable[[], None]) -> None:
        """Do `work` on a message; whatever is wrong with it makes a dead letter."""
        try:
            work()
        except Refused as refused:
            self._refuse(flight, refused)
        except Exception as error:  # One message that nobody foresaw must not stop all others.
            detail = f"unexpected {type(error).__name__}: {error}"[:400]
            self._refuse(flight, Refused("malformed", detail, flight.boot, flight.seq))

    def _route(self, message: Message, flight: Flight) -> None:
        if not message.topic.startswith(f"{ROOT}/"):
            self._take_mapped(message, flight)
            return
        topic = parse_gateway_topic(message.topic)
        if topic is None or max(len(topic.site), len(topic.gateway)) > MAX_NAME:
            self.tally.messages["other"] += 1
            raise Refused("unknown-topic", message.topic[:200])
        flight.site, flight.gateway = topic.site, topic.gateway
        kind = topic.kind if (topic.kind == "series") == bool(topic.rest) else "other"
        self.tally.messages[kind if kind in ("packs", "series", "status") else "other"] += 1
        self._check_size(message)
        if kind == "packs":
            self._take_pack(message, flight)
        elif kind not in ("series", "status"):
            raise Refused("unknown-topic", message.topic[:200])
        elif message.payload:  # An empty one clears what was retained, and says nothing to us.
            self._take_series(message, flight, topic.rest) if kind == "series" else self._take_status(message, flight)

    def _check_size(self, message: Message) -> None:
        if len(message.payload) > self.options.payload_bytes:
            raise Refused("too-large", f"{len(message.payload)} bytes; at most {self.options.payload_bytes}")

    def _take_echo(self, message: Message, entry: Entry) -> None:
        self.tally.messages["echo"] += 1
        asked = self._echoes.pop(message.payload.decode("ascii", "replace"), None)
        if asked is not None:
            entry.echo_ms, asked_wall_ms = asked
            self._fresh = self._wall_ms - asked_wall_ms <= FRESH_MS
        entry.done = True
        self._leave()

    def _take_pack(self, message: Message, flight: Flight) -> None:
        oldest = whole(message.properties.get(OLDEST_SEQ))
        self._note_skew(message, flight)
        try:
            pack = read_pack(message.payload, flight.site, flight.gateway)
            flight.boot, flight.seq = pack.boot, pack.seq
            flight.key = (flight.site, flight.gateway, flight.boot, flight.seq)
            if self._is_redelivery(flight):
                return
            self._start(flight, oldest)
            check_shape(pack)
        except Refused as refused:
            if refused.boot and refused.seq and not flight.seq:
                flight.boot, flight.seq = refused.boot, refused.seq
                flight.key = (flight.site, flight.gateway, flight.boot, flight.seq)
                self._start(flight, oldest)
            raise
        table = self.tables.get(pack.table)
        if table is None:
            self._hold.add(pack, flight, self._wall_ms)
            flight.pending += 1
            return
        self._write(pack, flight, table)

    def _start(self, flight: Flight, oldest: int | None) -> None:
        self._depart(flight)
        self.tally.skipped += self._acks.seen((flight.site, flight.gateway, flight.boot), flight.seq, oldest)

    def _depart(self, flight: Flight) -> None:
        if flight.key is not None:
            self._open.setdefault(flight.key, flight)

    def _is_redelivery(self, flight: Flight) -> bool:
        """Whether an earlier connection delivered the same message, still on its way: it then waits with that one.

        Otherwise each reconnect while Kafka is away would add all that is unacknowledged once more.
        """
        first = None if flight.key is None else self._open.get(flight.key)
        entry = flight.entries[0]
        if first is None or first.entries[-1].generation >= entry.generation:
            return False
        if first.message.payload != flight.message.payload:
            return False
        first.entries.append(flight.entries.pop())
        self.tally.redelivered += 1
        return True

    def _note_skew(self, message: Message, flight: Flight) -> None:
        sent_ms = whole(message.properties.get(SENT_MS))
        oldest = next(iter(self._echoes.values()), None)
        fresh = self._fresh and (oldest is None or self._wall_ms - oldest[1] <= FRESH_MS)
        if sent_ms is not None and fresh and not message.retained:
            self.skew.note(flight.site, flight.gateway, sent_ms - message.received_ms)

    def _take_series(self, message: Message, flight: Flight, named: str) -> None:
        table = read_table(message.payload, named)
        if not self.tables.add(table):
            return
        self._send_table(table, flight)
        for held in self._hold.release(table.id):
            self._guard(held.flight, partial(self._write, held.pack, held.flight, table))
            self._unhold(held.flight)

    def _send_table(self, table: SeriesTable, flight: Flight) -> None:
        self._send(Send(SERIES_TABLES, table_json(table), key=table.id.encode(), flights=(flight,)))

    def _take_status(self, message: Message, flight: Flight) -> None:
        status = read_status(message.payload)
        key = f"{flight.site}/{flight.gateway}".encode()
        self._send(Send(GATEWAY_STATUS, to_json(status), key=key, flights=(flight,)))

    # Readings.

    def _write(self, pack: Pack, flight: Flight, table: SeriesTable) -> None:
        received_ms = flight.message.received_ms
        checked = check(pack, len(table.series), received_ms, self.options.future_limit_ms)
        origin = Origin(flight.site, flight.gateway, received_ms)
        pieces = split(origin, pack, checked, self.options.grid_ms)
        for dead in checked.dead:
            self._letter(flight, dead)
        self.tally.readings += int(checked.times.size)
        self._put(flight, [(piece, table) for piece in pieces])

    def _put(self, flight: Flight, pieces: list[tuple[Piece, SeriesTable]]) -> None:
        """Put a message's parts into records."""
        shard = self._shard(flight.gateway)
        self.tally.parts += len(pieces)
        for piece, table in pieces:
            needed = self._embedding.needed(flight.gateway, table.id, piece.cell_ms, self._newest(shard))
            flight.pending += 1
            carried = table if needed else None
            for record in self._merger.add(shard, piece, table=carried, flight=flight, wall_ms=self._wall_ms):
                self._close(record)

    def _newest(self, shard: int) -> int | None:
        """Return the newest stamp that can lie before the next record in a partition; None if it is not known."""
        written, opened = self._heartbeats.newest(shard), self._merger.newest_ms(shard)
        return None if written is None else max(written, opened or written)

    def _take_mapped(self, message: Message, flight: Flight) -> None:
        """Take a message of a device that speaks a form of its own; it knows no acknowledgement but MQTT's."""
        match = self._intake.match(message.topic)
        if match is None:
            self.tally.messages["other"] += 1
            raise Refused("unknown-topic", f"no mapping takes {message.topic[:200]}")
        if match.mapping is None or not message.payload:  # An empty one clears what was retained.
            self.tally.messages["ignored"] += 1
            return
        self.tally.messages["mapped"] += 1
        flight.site, flight.gateway = self._intake.home(match)
        self._check_size(message)
        flight.key = ("", message.topic, "", message.mid) if message.qos else None
        if message.dup and self._is_redelivery(flight):
            return
        self._depart(flight)
        options = self.options
        taken = self._intake.take(
            match, message, self.tables, grid_ms=options.grid_ms, future_limit_ms=options.future_limit_ms
        )
        for table in taken.tables:
            self._send_table(table, flight)
        for dead in taken.dead:
            self._letter(flight, DeadReadings(dead.reason, dead.places), dead.detail)
        self.tally.readings += len(taken.pieces)
        self._put(flight, taken.pieces)

    def _close(self, record: OpenRecord) -> None:
        self.tally.records += 1
        self._heartbeats.wrote(record.shard, record.earliest_ms)
        self.effects.append(
            Send(
                READINGS,
                record.encode(),
                key=record.key(),
                partition=record.shard,
                timestamp_ms=record.earliest_ms,
                flights=tuple(record.flights),
            )
        )

    def _expire(self, wall_ms: float) -> None:
        for held in self._hold.expired(wall_ms):
            detail = f"no series table {held.pack.table[:80]!r} within {self.options.table_hold_ms:g} ms"
            pack = held.pack
            self._refuse(held.flight, Refused("unknown-table", detail, pack.boot, pack.seq, len(pack.values)))
            self._unhold(held.flight)

    def _unhold(self, flight: Flight) -> None:
        flight.pending -= 1
        self._settle(flight)

    def _refuse(self, flight: Flight, refused: Refused) -> None:
        self.tally.dead[refused.reason] += refused.readings
        self.tally.dead_payloads[refused.reason] += 1
        self._send(refused_letter(flight, refused, self.options.payload_bytes))

    def _refuse_parts(self, send: Send, detail: str) -> None:
        """Refuse the readings of one record alone: other parts of their packs lie in other records."""
        record = decode_record(send.value)
        if not isinstance(record, Readings):  # A heartbeat carries no one's readings.
            return
        for part, flight in zip(record.parts, send.flights, strict=True):
            # The table that the record may have carried is not in Kafka.
            self._embedding.forget(part.gateway, part.table, record.cell_ms)
            index = part.index or np.arange(len(part.values) // 8, dtype="<u4").tobytes()
            dead = DeadReadings("rejected", np.frombuffer(index, "<u4").tolist())
            self._letter(flight, dead, detail)

    def _letter(self, flight: Flight, dead: DeadReadings, detail: str = "") -> None:
        self.tally.dead[dead.reason] += len(dead.indexes)
        self.tally.dead_payloads[dead.reason] += 1
        self._send(readings_letter(flight, dead, detail))

    def _shard(self, gateway: str) -> int:
        shard = self._shards.get(gateway)
        if shard is None:
            if len(self._shards) > 100_000:  # A cache alone; bounds memory against invented names.
                self._shards.clear()
            shard = self._shards[gateway] = shard_of(gateway, self.options.shards)
        return shard

    def _send(self, send: Send) -> None:
        for flight in send.flights:
            flight.pending += 1
        self.effects.append(send)

    # Delivery.

    def _settle(self, flight: Flight) -> None:
        """If all of a message is in Kafka, it is done for the broker and for its gateway."""
        if flight.pending or not flight.sealed:
            return
        for entry in flight.entries:
            entry.done = True
        if flight.key is not None and self._open.get(flight.key) is flight:
            del self._open[flight.key]
        if flight.seq:
            self._acks.done((flight.site, flight.gateway, flight.boot), flight.seq, self._wall_ms)

    def _leave(self) -> None:
        for entry in self._line.leave():
            if entry.echo_ms is not None:
                self._heartbeats.echoed(entry.echo_ms)
            if self._line.may_acknowledge(entry):
                self.tally.pubacks += 1
                self.effects.append(Puback(entry.generation, entry.mid))

    def _beat(self, now_ms: int, wall_ms: float) -> None:
        if self._heartbeats.wants_echo(now_ms):
            nonce = self._nonce()
            if len(self._echoes) > 1000:  # Echoes that were lost with a broker; bounds memory.
                self._echoes.clear()
            self._echoes[nonce] = (now_ms, wall_ms)
            self.effects.append(Publish(self.echo_topic, nonce.encode()))
        if self._heartbeats.due(now_ms):
            # A record that lingers goes first: behind the heartbeat it could be late.
            for record in self._merger.due(wall_ms, everything=True):
                self._close(record)
        for shard, time_ms in self._heartbeats.take(now_ms, wall_ms):
            self.tally.heartbeats += 1
            value = encode_record(Heartbeat(time_ms=time_ms, bridge=self.options.client_id))
            self.effects.append(Send(READINGS, value, partition=shard, timestamp_ms=time_ms))

    def _acknowledge(self, wall_ms: float, *, everything: bool = False) -> None:
        for due in self._acks.due(wall_ms, everything=everything):
            self.tally.acks += 1
            topic = gateway_topic(due.site, due.gateway, "ack")
            self.effects.append(Publish(topic, to_json(Ack(boot=due.boot, seq=due.seq)), retain=True))


def echo_topic(client_id: str) -> str:
    """Return the topic of the bridge's echo; it has four levels, so no gateway's topic can be it."""
    return f"{ROOT}/{client_id}/echo"
