"""The series of a shard: from (gateway, series table, index) to the shard's row, and back to names."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from connectors.wire.series import Series, SeriesTable
from jobs.windows.dump import StateError, pack, unpack

CHUNK_BYTES = 1 << 20
"""Cold state is written in entries of at most this size: one changed series doesn't rewrite a whole shard's names."""

Places = NDArray[np.int64]


class GatewayName(NamedTuple):
    """A gateway and its site."""

    site: str
    name: str


class Pair(NamedTuple):
    """A gateway (by number) and a series table that it uses; its places are `[base, base + size)`."""

    gateway: int
    table: str
    base: int
    size: int


class _Stored(msgspec.Struct, frozen=True):
    gateways: list[GatewayName]
    tables: list[SeriesTable]
    pairs: list[tuple[int, str]]


class Directory:
    """Names and rows of a shard.

    A **place** is an entry of a table as one gateway uses it, `pair.base + index`; `row_of` gives its row, or -1 if
    it was never seen. A series that several tables of its gateway name has one row; `place_of` is where it was seen
    last.

    Rows are given in the order in which series are first seen (by place within a window), so they are the same
    whatever the packing.

    Attributes
    ----------
    changed
        Whether anything here differs from what was last written; whoever writes it sets it back.
    generation
        Goes up when what a row or gateway is called changes, so that selections must be made again.
    """

    def __init__(self) -> None:
        self.gateways: list[GatewayName] = []
        self.tables: dict[str, SeriesTable] = {}
        self.pairs: list[Pair] = []
        self.row_of = np.zeros(0, np.int32)
        self.place_of: Places = np.zeros(0, np.int64)
        self.gateway_of = np.zeros(0, np.int32)
        self.changed = False
        self.generation = 0
        self._bases: list[int] = []
        self._gateway_numbers: dict[str, int] = {}
        self._pair_numbers: dict[tuple[int, str], int] = {}
        self._rows: dict[tuple[int, str, str], int] = {}

    @property
    def rows(self) -> int:
        """Number of series."""
        return self.place_of.size

    def learn_table(self, table: SeriesTable) -> None:
        """Remember a series table."""
        if table.id not in self.tables:
            self.tables[table.id] = table
            self.changed = True

    def gateway_number(self, site: str, name: str) -> int:
        """Return a gateway's number, a new one if it is new; a gateway that moved keeps its number."""
        number = self._gateway_numbers.get(name)
        if number is None:
            number = self._gateway_numbers[name] = len(self.gateways)
            self.gateways.append(GatewayName(site, name))
            self.changed = True
        elif self.gateways[number].site != site:
            self.gateways[number] = GatewayName(site, name)
            self.generation += 1
            self.changed = True
        return number

    def pair_number(self, gateway: int, table: str) -> int:
        """Return the number of a gateway's use of a known table."""
        number = self._pair_numbers.get((gateway, table))
        if number is None:
            number = self._add_pair(gateway, table)
            self.changed = True
        return number

    def _add_pair(self, gateway: int, table: str) -> int:
        number = self._pair_numbers[gateway, table] = len(self.pairs)
        size = len(self.tables[table].series)
        self.pairs.append(Pair(gateway, table, self.row_of.size, size))
        self._bases.append(self.row_of.size)
        self.row_of = np.concatenate([self.row_of, np.full(size, -1, np.int32)])
        return number

    def see(self, places: Places) -> None:
        """Give rows to the series at `places` (distinct, rising) that have none."""
        new = places[self.row_of[places] < 0]
        if not new.size:
            return
        added: list[tuple[int, int]] = []
        for place in new.tolist():
            pair = self.pair_at(place)
            series = self.tables[pair.table].series[place - pair.base]
            name = (pair.gateway, series.device, series.quantity)
            row = self._rows.get(name)
            if row is None:
                row = self._rows[name] = self.rows + len(added)
                added.append((place, pair.gateway))
            self.row_of[place] = row
        grown = np.array(added, np.int64).reshape(-1, 2)
        self.place_of = np.concatenate([self.place_of, grown[:, 0]])
        self.gateway_of = np.concatenate([self.gateway_of, grown[:, 1].astype(np.int32)])
        self.changed = True

    def seen_at(self, rows: NDArray[np.int64], places: Places) -> None:
        """Note where `rows` were seen in this window."""
        if not np.array_equal(self.place_of[rows], places):
            self.place_of[rows] = places
            self.changed = True

    def pair_at(self, place: int) -> Pair:
        """Return the pair that a place belongs to."""
        return self.pairs[bisect_right(self._bases, place) - 1]

    def pairs_of(self, places: Places) -> NDArray[np.int64]:
        """Return the number of the pair of each place."""
        found: NDArray[np.int64] = np.searchsorted(self.bases, places, side="right") - 1
        return found

    @property
    def bases(self) -> Places:
        """First place of each pair."""
        return np.array(self._bases, np.int64)

    def series_at(self, row: int) -> tuple[GatewayName, Series]:
        """Return what a row is."""
        place = int(self.place_of[row])
        pair = self.pair_at(place)
        return self.gateways[pair.gateway], self.tables[pair.table].series[place - pair.base]

    def keep(self, rows: NDArray[np.int64], gateways: NDArray[np.int64]) -> None:
        """Forget every row and gateway but these (rising numbers), and the tables that none of them uses."""
        kept_gateways = {int(number): place for place, number in enumerate(gateways)}
        pair_numbers = self.pairs_of(self.place_of[rows])
        used = set(pair_numbers.tolist())
        old_pairs = self.pairs
        stored = _Stored(
            gateways=[self.gateways[number] for number in kept_gateways],
            tables=[],
            pairs=[(kept_gateways[pair.gateway], pair.table) for at, pair in enumerate(old_pairs) if at in used],
        )
        tables = {table for _, table in stored.pairs}
        renumbered = {old: new for new, old in enumerate(sorted(used))}
        index = self.place_of[rows] - self.bases[pair_numbers]
        numbers = np.array([renumbered[number] for number in pair_numbers.tolist()], np.int64)
        kept = [table for name, table in self.tables.items() if name in tables]
        self._build(msgspec.structs.replace(stored, tables=kept), numbers, index)
        self.generation += 1
        self.changed = True

    def _build(self, stored: _Stored, numbers: NDArray[np.int64], index: NDArray[np.int64]) -> None:
        """Become the directory of `stored` with a row for each (pair number, index in its table)."""
        self.gateways = list(stored.gateways)
        self._gateway_numbers = {gateway.name: number for number, gateway in enumerate(self.gateways)}
        self.tables = {table.id: table for table in stored.tables}
        self.pairs, self._bases, self._pair_numbers, self.row_of = [], [], {}, np.zeros(0, np.int32)
        for gateway, table in stored.pairs:
            self._add_pair(gateway, table)
        self.place_of = self.bases[numbers] + index
        self.gateway_of = np.array([pair.gateway for pair in self.pairs], np.int32)[numbers]
        self.row_of[self.place_of] = np.arange(self.place_of.size, dtype=np.int32)
        self._rows = {}
        for row in range(self.rows):
            place = int(self.place_of[row])
            pair = self.pairs[int(numbers[row])]
            series = self.tables[pair.table].series[place - pair.base]
            self._rows[pair.gateway, series.device, series.quantity] = row

    def chunks(self) -> dict[str, bytes]:
        """Return the directory as cold entries."""
        numbers = self.pairs_of(self.place_of)
        index = self.place_of - self.bases[numbers]
        stored = _Stored(self.gateways, list(self.tables.values()), [(pair.gateway, pair.table) for pair in self.pairs])
        # Names first and rows in a section of their own: new rows of known tables change only the end.
        sections = {
            "names": pack({}, {"names": np.frombuffer(msgspec.msgpack.encode(stored), np.uint8)}),
            "rows": pack({}, {"pair": numbers.astype("<u4"), "index": index.astype("<u4")}),
        }
        return {f"{name}/{at // CHUNK_BYTES:04d}": data[at : at + CHUNK_BYTES]
                for name, data in sections.items() for at in range(0, len(data), CHUNK_BYTES)}  # fmt: skip

    @classmethod
    def from_chunks(cls, chunks: Mapping[str, bytes]) -> "Directory":
        """Undo `chunks`; empty entries count as absent.

        Raises
        ------
        StateError
            If they are of another version or damaged.
        """
        directory = cls()
        names, rows = (_joined(chunks, section) for section in ("names", "rows"))
        if not names:
            return directory
        try:
            stored = msgspec.msgpack.decode(unpack(names)[1]["names"].tobytes(), type=_Stored)
            arrays = unpack(rows)[1]
            directory._build(stored, arrays["pair"].astype(np.int64), arrays["index"].astype(np.int64))
        except (msgspec.DecodeError, KeyError, IndexError) as error:
            msg = f"the directory of series is damaged: {error}"
            raise StateError(msg) from error
        return directory


def _joined(chunks: Mapping[str, bytes], section: str) -> bytes:
    names: Iterable[str] = sorted(name for name in chunks if name.startswith(f"{section}/"))
    return b"".join(chunks[name] for name in names)
