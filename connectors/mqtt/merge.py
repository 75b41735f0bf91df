"""Merging parts of one partition and cell into records, so that single readings don't cost a record each."""

from dataclasses import dataclass, field

from connectors.mqtt.messages import Flight
from connectors.mqtt.split import Piece
from connectors.wire.record import Part, Readings, encode_record
from connectors.wire.series import SeriesTable

PART_OVERHEAD = 96
"""Bytes of a part beside its columns and names, roughly; only the size limit uses it."""

SERIES_OVERHEAD = 24
"""Bytes of a table's entry, roughly."""

MAX_SIZES = 100_000
"""Tables whose size is remembered; bounds memory, and a size is soon found again."""


@dataclass(slots=True)
class OpenRecord:
    """A record that still takes parts."""

    shard: int
    cell_ms: int
    number: int
    opened_ms: float
    earliest_ms: int
    size: int = 0
    parts: list[Part] = field(default_factory=list)
    tables: dict[str, SeriesTable] = field(default_factory=dict)
    flights: list[Flight] = field(default_factory=list)

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return encode_record(Readings(cell_ms=self.cell_ms, parts=self.parts, tables=list(self.tables.values())))

    def key(self) -> bytes | None:
        """Return the gateway where there is one, else None."""
        first = self.parts[0].gateway
        return first.encode() if all(part.gateway == first for part in self.parts) else None


class Merger:
    """Open records by partition and cell. Records leave in the order in which they were opened.

    A gateway's parts keep their order: one that would join an older record than the part before it closes those records
    and begins another.

    Parameters
    ----------
    linger_ms
        How long (wall time) a record waits for more parts.
    record_bytes
        A record is closed when it has grown to this size.
    """

    def __init__(self, linger_ms: float, record_bytes: int) -> None:
        self._linger_ms = linger_ms
        self._record_bytes = record_bytes
        self._open: dict[tuple[int, int], OpenRecord] = {}
        self._opened = 0
        self._newest: dict[tuple[int, str], int] = {}
        self._newest_stamp: dict[int, int] = {}
        self._sizes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def newest_ms(self, shard: int) -> int | None:
        """Return a bound on the stamps of a partition's records opened so far, of which some may still be open."""
        return self._newest_stamp.get(shard)

    def add(
        self,
        shard: int,
        piece: Piece,
        *,
        table: SeriesTable | None,
        flight: Flight,
        wall_ms: float,
    ) -> list[OpenRecord]:
        """Add a part (and the table that it must carry) and return the records that this closed, in order."""
        key, part = (shard, piece.cell_ms), piece.part
        record = self._open.get(key)
        closed = []
        before = self._newest.get((shard, part.gateway), 0)
        if record is not None and record.number < before:
            closed = self._close_to(shard, before)
            record = None
        if record is None:
            self._opened += 1
            record = self._open[key] = OpenRecord(shard, piece.cell_ms, self._opened, wall_ms, piece.earliest_ms)
            self._newest_stamp[shard] = max(self._newest_stamp.get(shard, 0), piece.earliest_ms)
        self._newest[shard, part.gateway] = record.number
        record.earliest_ms = min(record.earliest_ms, piece.earliest_ms)
        record.parts.append(part)
        record.flights.append(flight)
        record.size += PART_OVERHEAD + len(part.offsets) + len(part.series) + len(part.values)
        record.size += len(part.quality) + len(part.index) + len(part.gateway) + len(part.site)
        if table is not None and table.id not in record.tables:
            record.tables[table.id] = table
            record.size += self._table_bytes(table)
        if record.size >= self._record_bytes or self._linger_ms <= 0:
            closed += self._close_to(shard, record.number)
        return closed

    def _close_to(self, shard: int, number: int) -> list[OpenRecord]:
        """Take the records of a partition up to and with number `number`, oldest first."""
        keys = [key for key, record in self._open.items() if record.shard == shard and record.number <= number]
        return [self._open.pop(key) for key in keys]

    def _table_bytes(self, table: SeriesTable) -> int:
        size = self._sizes.get(table.id)
        if size is None:
            if len(self._sizes) > MAX_SIZES:
                self._sizes.clear()
            size = sum(SERIES_OVERHEAD + len(entry.device) + len(entry.quantity) for entry in table.series)
            self._sizes[table.id] = size
        return size

    def due(self, wall_ms: float, *, everything: bool = False) -> list[OpenRecord]:
        """Take the records that waited long enough, oldest first; `everything` takes all."""
        ready = []
        for key, record in list(self._open.items()):
            if not everything and wall_ms - record.opened_ms < self._linger_ms:
                break  # Records lie in the order they were opened.
            ready.append(self._open.pop(key))
        if not self._open:
            self._newest.clear()  # Nothing is open that a later part could overtake.
        return ready
