"""What came after its window: kept whole, with the tables it needs, so that it decodes by itself."""

from connectors.wire.ledger import DeadLetter, LateReadings
from connectors.wire.record import Heartbeat, Part, decode_record
from connectors.wire.series import SeriesTable, is_genuine
from connectors.wire.versions import WireError
from jobs.windows.decode import CellPart, Letters, Source
from jobs.windows.directory import Directory


def late_record(
    directory: Directory, data: bytes, source: Source, *, shard: int, offset: int
) -> tuple[LateReadings | None, list[DeadLetter]]:
    """Return a late record's readings, and what of it can't be kept; a heartbeat that is late says nothing any
    more.
    """
    letters = Letters(source, [])
    try:
        record = decode_record(data)
    except WireError as error:
        letters.record(data, "unknown-version" if error.reason == "unknown-version" else "malformed", error.detail)
        return None, letters.letters
    if isinstance(record, Heartbeat):
        return None, []
    own = {table.id: table for table in record.tables if is_genuine(table)}
    kept: list[Part] = []
    tables: dict[str, SeriesTable] = {}
    for part in record.parts:
        table = own.get(part.table) or directory.tables.get(part.table)
        if table is None:
            cell: CellPart = (part.gateway, part.boot, part.seq, record.cell_ms, part)
            letters.part(cell, "unknown-table", f"late, and its series table {part.table} is not known")
        else:
            tables[table.id] = table
            kept.append(part)
    if not kept:
        return None, letters.letters
    late = LateReadings(
        shard=shard,
        cell_ms=record.cell_ms,
        window_end_ms=source[1],
        offset=offset,
        parts=kept,
        tables=[tables[name] for name in sorted(tables)],
        readings=sum(len(part.values) // 8 for part in kept),
    )
    return late, letters.letters
