"""The bridge's core in a test: messages in, effects out, everything delivered on demand."""

from itertools import count

from connectors.mqtt.core import Bridge, Options
from connectors.mqtt.heartbeat import Past
from connectors.mqtt.intake import Intake
from connectors.mqtt.messages import Message, Puback, Publish, Send
from connectors.mqtt.tables import TableStore
from connectors.wire.ledger import DeadLetter
from connectors.wire.pack import OLDEST_SEQ, SENT_MS, Ack, Pack
from connectors.wire.record import Heartbeat, Readings, decode_record
from connectors.wire.series import Series, SeriesTable, series_table
from connectors.wire.topics import DEAD_LETTERS, READINGS
from connectors.wire.versions import from_json, from_msgpack, to_msgpack

NOW_MS = 1_700_000_000_000
TABLE = series_table((Series("d", "temperature", "Cel"), Series("d", "humidity", "%RH")))
PACKS = "tidemark/v1/s/gw/packs"


def pack(seq: int = 1, readings: int = 3, boot: str = "b", **changes: object) -> Pack:
    """Return a good pack whose readings lie in one cell."""
    fields: dict[str, object] = {
        "boot": boot,
        "seq": seq,
        "table": TABLE.id,
        "base_ms": NOW_MS,
        "offsets_ms": list(range(readings)),
        "series": [0] * readings,
        "values": [float(i) for i in range(readings)],
    }
    return Pack(**(fields | changes))  # type: ignore[arg-type]


class Bench:
    """A bridge's core with what it did."""

    def __init__(
        self,
        tables: tuple[SeriesTable, ...] = (TABLE,),
        past: Past | None = None,
        connect: bool = True,
        intake: Intake | None = None,
        **options: object,
    ) -> None:
        nonces = count()
        chosen = {"shards": 2, "heartbeat_grace_ms": 0, "linger_ms": 20} | options
        self.core = Bridge(
            Options(**chosen),  # type: ignore[arg-type]
            lambda: f"n{next(nonces)}",
            TableStore(tables),
            past,
            intake=intake,
        )
        self.now_ms, self.wall_ms = NOW_MS, 0.0
        self.generation, self._mids = 0, count(1)
        self.sends: list[Send] = []
        self.pubacks: list[int] = []
        self.published: list[Publish] = []
        if connect:
            self.connect()

    def connect(self) -> None:
        self.generation += 1
        self.core.connected(self.generation, self.now_ms, self.wall_ms)

    def take(
        self,
        payload: bytes,
        topic: str = PACKS,
        mid: int | None = None,
        qos: int = 1,
        *,
        dup: bool = False,
        **properties: object,
    ) -> int:
        """Hand the core a message and return its packet id."""
        number = next(self._mids) if mid is None else mid
        properties = {name: str(value) for name, value in properties.items()}
        message = Message(topic, payload, self.now_ms, self.generation, number, qos, dup=dup, properties=properties)
        self.core.take(message, self.wall_ms)
        self._collect()
        return number

    def take_pack(self, one: Pack, topic: str = PACKS, sent_ms: int | None = None, oldest: int | None = None) -> int:
        properties = {SENT_MS: sent_ms, OLDEST_SEQ: oldest}
        return self.take(to_msgpack(one), topic, **{k: v for k, v in properties.items() if v is not None})

    def pass_time(self, milliseconds: float = 100) -> None:
        self.now_ms += int(milliseconds)
        self.wall_ms += milliseconds
        self.core.tick(self.now_ms, self.wall_ms)
        self._collect()

    def deliver(self, topic: str | None = None) -> list[Send]:
        """Report everything sent (to `topic`) as delivered, and let the core act on it."""
        chosen = [send for send in self.sends if topic in (None, send.topic)]
        self.sends = [send for send in self.sends if send not in chosen]
        for send in chosen:
            self.core.delivered(send)
        self.core.tick(self.now_ms, self.wall_ms)
        self._collect()
        return chosen

    def echo(self) -> None:
        """Let the newest echo come back."""
        echoes = [p for p in self.published if p.topic == self.core.echo_topic]
        self.take(echoes[-1].payload, self.core.echo_topic)

    def records(self) -> list[Readings]:
        decoded = [decode_record(send.value) for send in self.sends if send.topic == READINGS]
        return [record for record in decoded if isinstance(record, Readings)]

    def heartbeats(self) -> list[tuple[int | None, int]]:
        decoded = [(send.partition, decode_record(send.value)) for send in self.sends if send.topic == READINGS]
        return [(partition, record.time_ms) for partition, record in decoded if isinstance(record, Heartbeat)]

    def letters(self) -> list[DeadLetter]:
        return [from_msgpack(DeadLetter, send.value) for send in self.sends if send.topic == DEAD_LETTERS]

    def acks(self) -> list[Ack]:
        return [from_json(Ack, p.payload) for p in self.published if p.topic.endswith("/ack")]

    def _collect(self) -> None:
        while self.core.effects:
            effect = self.core.effects.popleft()
            if isinstance(effect, Send):
                self.sends.append(effect)
            elif isinstance(effect, Puback):
                assert effect.generation == self.generation
                self.pubacks.append(effect.mid)
            else:
                self.published.append(effect)
