"""Series tables the bridge knows, and the packs that wait for one it doesn't."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from connectors.mqtt.check import Refused
from connectors.mqtt.messages import Flight
from connectors.wire.pack import Pack
from connectors.wire.series import SeriesTable, is_genuine
from connectors.wire.versions import WireError, from_either


def read_table(payload: bytes, named: str) -> SeriesTable:
    """Decode a series table that came on `series/<named>`.

    Raises
    ------
    Refused
        `malformed`, `unknown-version`, or `bad-table` when its id is not the hash of its content or not the topic's.
    """
    try:
        table = from_either(SeriesTable, payload)
    except WireError as error:
        raise Refused("unknown-version" if error.reason == "unknown-version" else "malformed", error.detail) from error
    if table.id != named:
        raise Refused("bad-table", f"table {table.id} on the topic of {named}")
    if not is_genuine(table):
        raise Refused("bad-table", f"{table.id} is not the hash of the table's content")
    return table


class TableStore:
    """Tables by id. The same content has the same id everywhere, so a table never changes and gateways may share it."""

    def __init__(self, tables: Iterable[SeriesTable] = ()) -> None:
        self._tables = {table.id: table for table in tables}

    def __len__(self) -> int:
        return len(self._tables)

    def get(self, table_id: str) -> SeriesTable | None:
        """Return a table, or None."""
        return self._tables.get(table_id)

    def add(self, table: SeriesTable) -> bool:
        """Keep a table; whether it is new."""
        if table.id in self._tables:
            return False
        self._tables[table.id] = table
        return True


@dataclass(frozen=True, slots=True)
class Held:
    """A pack that waits for its table until `deadline_ms` (wall time)."""

    pack: Pack
    flight: Flight
    deadline_ms: float


class Hold:
    """Packs whose table is unknown. Others go on meanwhile; bounded by what the broker sends unacknowledged."""

    def __init__(self, hold_ms: float) -> None:
        self._hold_ms = hold_ms
        self._held: deque[Held] = deque()

    def __len__(self) -> int:
        return len(self._held)

    def add(self, pack: Pack, flight: Flight, wall_ms: float) -> None:
        """Hold a pack."""
        self._held.append(Held(pack, flight, wall_ms + self._hold_ms))

    def release(self, table_id: str) -> list[Held]:
        """Take the packs that waited for this table, in their order."""
        freed = [held for held in self._held if held.pack.table == table_id]
        if freed:
            self._held = deque(held for held in self._held if held.pack.table != table_id)
        return freed

    def expired(self, wall_ms: float) -> list[Held]:
        """Take the packs that waited too long."""
        out = []
        while self._held and self._held[0].deadline_ms <= wall_ms:
            out.append(self._held.popleft())
        return out


def table_json(table: SeriesTable) -> bytes:
    """Encode a table for the compacted topic."""
    return msgspec.json.encode(table)
