"""Messages of devices that speak a form of their own, turned into parts by the mappings."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from struct import pack

from connectors.mapping.mapped import MappedReading
from connectors.mapping.mappings import Mappings, Match
from connectors.mapping.refusal import Refusal
from connectors.mqtt.check import YEAR_2000_MS, Refused
from connectors.mqtt.messages import Message
from connectors.mqtt.receipts import Receipts, Written
from connectors.mqtt.split import Origin, Piece
from connectors.mqtt.tables import TableStore
from connectors.wire.ledger import DeadReason
from connectors.wire.mapped import MAPPED_BOOT, mapped_seq
from connectors.wire.record import Part
from connectors.wire.series import Series, SeriesTable, series_table

MAX_TABLES = 50_000
"""Series tables that mappings may make in a process's life: bounds memory against names that never repeat."""

TOO_MANY_TABLES = f"mappings made {MAX_TABLES} series tables already; is a name in them that never repeats?"


@dataclass(frozen=True, slots=True)
class DeadMapped:
    """Readings of a message that are bad for one reason; `places` are theirs in the mapping's order."""

    reason: DeadReason
    places: list[int]
    detail: str


@dataclass
class Taken:
    """What a message becomes.

    Attributes
    ----------
    pieces
        One a reading, with its table.
    tables
        Series tables that were not known.
    """

    pieces: list[tuple[Piece, SeriesTable]] = field(default_factory=list)
    tables: list[SeriesTable] = field(default_factory=list)
    dead: list[DeadMapped] = field(default_factory=list)


class Intake:
    """Turns mapped messages into parts.

    Parameters
    ----------
    written
        The mapped readings that earlier processes wrote last.
    """

    def __init__(self, mappings: Mappings | None = None, written: Iterable[Written] = ()) -> None:
        self._mappings = mappings or Mappings()
        self._receipts = Receipts(written)
        self._tables: dict[tuple[Series, ...], tuple[SeriesTable, dict[Series, int]]] = {}

    def match(self, topic: str) -> Match | None:
        """Return the mapping that a topic belongs to, or None."""
        return self._mappings.match(topic)

    @staticmethod
    def home(match: Match) -> tuple[str, str]:
        """Return site and gateway of a topic. Raises `Refused`."""
        try:
            return match.home()
        except Refusal as refusal:
            raise Refused(refusal.reason, refusal.detail) from refusal

    def take(self, match: Match, message: Message, tables: TableStore, *, grid_ms: int, future_limit_ms: int) -> Taken:
        """Turn a message into parts. Deterministic but for the time of receipt.

        Parameters
        ----------
        tables
            What the bridge knows; new ones are added.

        Raises
        ------
        Refused
            If nothing of it can be used.
        """
        site, gateway = self.home(match)
        try:
            mapped = match.apply(message.payload)
        except Refusal as refusal:
            raise Refused(refusal.reason, refusal.detail) from refusal
        packet = self._receipts.packet(message)
        received_ms = self._received_ms(message, gateway, mapped.readings, packet)
        origin = Origin(site, gateway, received_ms)
        taken = Taken()
        bad: dict[DeadReason, list[tuple[int, str]]] = defaultdict(list)
        for one in mapped.bad:
            bad[one.refusal.reason].append((one.place, one.refusal.detail))
        for reading in mapped.readings:
            time_ms, ticket = _stamp(reading, received_ms, packet)
            fault = _time_fault(time_ms, received_ms + future_limit_ms)
            if fault is not None:
                bad[fault].append((reading.place, f"{reading.series.quantity} of {reading.series.device} at {time_ms}"))
                continue
            known = self._table(reading, tables, taken)
            if known is None:
                bad["unknown-series"].append((reading.place, TOO_MANY_TABLES))
                continue
            table, index = known
            seq = mapped_seq(reading.series.device, reading.series.quantity, time_ms, reading.value, ticket)
            piece = _piece(
                origin, reading.value, seq=seq, time_ms=time_ms, index=index, table=table.id, grid_ms=grid_ms
            )
            taken.pieces.append((piece, table))
        taken.dead = [_dead(reason, found) for reason, found in bad.items()]
        return taken

    def _received_ms(self, message: Message, gateway: str, readings: Sequence[MappedReading], packet: int) -> int:
        """Return when the message was first received, which matters if some reading has no time of its own."""
        timed = next((one for one in readings if one.time_ms is None), None)
        if timed is None:
            return message.received_ms

        def seq_at(received_ms: int) -> int:
            time_ms, ticket = _stamp(timed, received_ms, packet)
            return mapped_seq(timed.series.device, timed.series.quantity, time_ms, timed.value, ticket)

        return self._receipts.first_ms(message, gateway, seq_at)

    def _table(self, reading: MappedReading, tables: TableStore, taken: Taken) -> tuple[SeriesTable, int] | None:
        known = self._tables.get(reading.family)
        if known is None:
            if len(self._tables) >= MAX_TABLES:
                return None
            table = series_table(reading.family)
            known = table, {series: index for index, series in enumerate(reading.family)}
            self._tables[reading.family] = known
            if tables.add(table):
                taken.tables.append(table)
        return known[0], known[1][reading.series]


def _stamp(reading: MappedReading, received_ms: int, packet: int) -> tuple[int, tuple[int, int] | None]:
    """Return a reading's event time, and its ticket if that is by the receipt."""
    if reading.time_ms is not None:
        return reading.time_ms, None
    return received_ms + reading.since_receipt_ms, (packet, reading.place)


def _time_fault(time_ms: int, latest_ms: int) -> DeadReason | None:
    if time_ms < YEAR_2000_MS:
        return "bad-time"
    return "future-time" if time_ms > latest_ms else None


def _piece(origin: Origin, value: float, *, seq: int, time_ms: int, index: int, table: str, grid_ms: int) -> Piece:
    cell_ms = time_ms // grid_ms * grid_ms
    part = Part(
        site=origin.site,
        gateway=origin.gateway,
        boot=MAPPED_BOOT,
        seq=seq,
        received_ms=origin.received_ms,
        table=table,
        offsets=pack("<I", time_ms - cell_ms),
        series=pack("<I", index),
        values=pack("<d", value),
    )
    return Piece(cell_ms, time_ms, part)


def _dead(reason: DeadReason, found: list[tuple[int, str]]) -> DeadMapped:
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return DeadMapped(reason, [place for place, _ in found], found[0][1] + more)
