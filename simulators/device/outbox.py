"""The outbox: a gateway's packs on disk, from the moment they are numbered until the bridge has them in Kafka."""

import fcntl
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Literal

from connectors.wire.series import SeriesTable
from connectors.wire.versions import from_json, to_json
from simulators.device.draft import Draft, Encoding, encode

Synchronous = Literal["FULL", "NORMAL", "OFF"]
SCHEMA = 1
_CREATE = """
CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    gateway TEXT NOT NULL,
    boot TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    acked_seq INTEGER NOT NULL,
    committed_readings INTEGER NOT NULL,
    acked_readings INTEGER NOT NULL
);
CREATE TABLE packs (seq INTEGER PRIMARY KEY, readings INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE series_tables (id TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE ledger (
    seq INTEGER PRIMARY KEY, readings INTEGER NOT NULL, digest TEXT NOT NULL, payload BLOB NOT NULL
);
"""


class OutboxError(Exception):
    """An outbox that can't be used; the message says which file and why."""


class OutboxFull(OutboxError):
    """The outbox holds as many packs as it may; nothing was committed."""


@dataclass(frozen=True)
class Counts:
    """Books of an outbox. `committed = acknowledged + pending`, in packs and in readings."""

    committed_packs: int
    acknowledged_packs: int
    committed_readings: int
    acknowledged_readings: int

    @property
    def pending_packs(self) -> int:
        """Packs still here."""
        return self.committed_packs - self.acknowledged_packs

    @property
    def pending_readings(self) -> int:
        """Readings still here."""
        return self.committed_readings - self.acknowledged_readings


class Outbox:
    """A SQLite file, written by one process at a time; threads may share it.

    A pack is committed with its sequence number in one transaction, before it is sent. The boot id is drawn with the
    file, so a lost file begins a new boot, and sequence numbers never go back within one.

    Parameters
    ----------
    synchronous
        `FULL` survives a power cut; `OFF` survives a crash of the process alone, and is for load tests.
    ledger
        Keep number, size, hash and bytes of every pack for ever: what was attempted, for tests and for the books.
    limit_packs
        Protects the disk: at this many, `append` refuses.
    """

    def __init__(
        self,
        path: Path,
        gateway: str,
        *,
        synchronous: Synchronous = "FULL",
        ledger: bool = False,
        encoding: Encoding = "msgpack",
        limit_bytes: int = 60_000,
        limit_packs: int = 1_000_000,
    ) -> None:
        self.path = path
        self._encoding = encoding
        self._limit_bytes = limit_bytes
        self._limit_packs = limit_packs
        self._ledger = ledger
        self._mutex = threading.Lock()
        self._lock_file = _lock(path)
        try:
            self._db = self._open(gateway, synchronous)
            self._load(gateway)
        except sqlite3.Error as error:
            self._lock_file.close()
            raise OutboxError(f"{path}: {error}") from error
        except OutboxError:
            self._lock_file.close()
            raise

    def _open(self, gateway: str, synchronous: Synchronous) -> sqlite3.Connection:
        # A lock of another process (a copy being made) is waited for 10 s, rather than failing a commit.
        db = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={synchronous}")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            # Boot id and schema appear together or not at all.
            db.executescript(f"BEGIN IMMEDIATE; {_CREATE} PRAGMA user_version={SCHEMA};")
            boot = secrets.token_hex(8)
            db.execute("INSERT INTO state VALUES (1, ?, ?, 0, 0, 0, 0)", (gateway, boot))
            db.execute("COMMIT")
        elif version != SCHEMA:
            raise OutboxError(f"{self.path}: written by another version ({version}; this build knows {SCHEMA})")
        return db

    def _load(self, gateway: str) -> None:
        row = self._db.execute("SELECT * FROM state").fetchone()
        owner = str(row[1])
        self.boot = str(row[2])
        self._last, self._acked, self._committed, self._acked_readings = (int(number) for number in row[3:])
        if owner != gateway:
            raise OutboxError(f"{self.path}: belongs to gateway {owner}, not {gateway}")
        rows = self._db.execute("SELECT id, body FROM series_tables").fetchall()
        self._tables = {str(name): from_json(SeriesTable, bytes(body)) for name, body in rows}

    def append(self, drafts: Sequence[Draft]) -> range:
        """Number the drafts, commit them in one transaction, and return their sequence numbers.

        Raises
        ------
        PackTooLarge
            If one is too large; none was committed.
        OutboxFull
            If they don't fit; none was committed.
        OutboxError
            If the disk refuses; none was committed.
        """
        with self._mutex:
            first = self._last + 1
            if first + len(drafts) - 1 - self._acked > self._limit_packs:
                raise OutboxFull(f"{self.path}: holds {self._last - self._acked} packs, at most {self._limit_packs}")
            payloads = [
                encode(draft, self.boot, seq, self._encoding, self._limit_bytes)
                for seq, draft in enumerate(drafts, start=first)
            ]
            rows = [
                (seq, len(draft.values), payload)
                for seq, draft, payload in zip(range(first, first + len(drafts)), drafts, payloads, strict=True)
            ]
            last, committed = first + len(rows) - 1, self._committed + sum(row[1] for row in rows)
            with _Transaction(self._db, self.path):
                self._db.executemany("INSERT INTO packs VALUES (?, ?, ?)", rows)
                if self._ledger:
                    self._db.executemany("INSERT INTO ledger VALUES (?, ?, ?, ?)", _entries(rows))
                self._db.execute("UPDATE state SET last_seq = ?, committed_readings = ?", (last, committed))
            self._last, self._committed = last, committed
            return range(first, last + 1)

    def acknowledge(self, boot: str, seq: int) -> int:
        """Delete the packs up to `seq`, which are in Kafka; return how many readings left.

        An ack of another boot, an old one, or one beyond what was ever committed deletes nothing.
        """
        with self._mutex:
            if boot != self.boot or seq <= self._acked or seq > self._last:
                return 0
            with _Transaction(self._db, self.path):
                (left,) = self._db.execute("SELECT total(readings) FROM packs WHERE seq <= ?", (seq,)).fetchone()
                self._db.execute("DELETE FROM packs WHERE seq <= ?", (seq,))
                acked_readings = self._acked_readings + int(left)
                self._db.execute("UPDATE state SET acked_seq = ?, acked_readings = ?", (seq, acked_readings))
            self._acked, self._acked_readings = seq, acked_readings
            return int(left)

    def payloads(self, first: int, count: int) -> list[tuple[int, bytes]]:
        """Return up to `count` packs from number `first` on, in order."""
        with self._mutex:
            rows = self._db.execute(
                "SELECT seq, payload FROM packs WHERE seq >= ? ORDER BY seq LIMIT ?", (first, count)
            ).fetchall()
        return [(int(seq), bytes(payload)) for seq, payload in rows]

    def declare(self, table: SeriesTable) -> None:
        """Keep a series table, so that packs can be sent after a restart that never mentions it."""
        with self._mutex:
            if table.id in self._tables:
                return
            with _Transaction(self._db, self.path):
                self._db.execute("INSERT INTO series_tables VALUES (?, ?)", (table.id, to_json(table)))
            # A new dict, because the sending thread may be walking over the old one.
            self._tables = {**self._tables, table.id: table}

    @property
    def tables(self) -> Mapping[str, SeriesTable]:
        """All series tables declared, by id."""
        return self._tables

    def attempted(self) -> dict[int, tuple[int, str]]:
        """Return the ledger: sequence number → (readings, hash of the payload)."""
        with self._mutex:
            rows = self._db.execute("SELECT seq, readings, digest FROM ledger").fetchall()
        return {int(seq): (int(readings), str(digest)) for seq, readings, digest in rows}

    @property
    def last_seq(self) -> int:
        """The newest pack's number; 0 before the first."""
        return self._last

    @property
    def acked_seq(self) -> int:
        """Everything up to this number is in Kafka."""
        return self._acked

    def counts(self) -> Counts:
        """Return the books."""
        with self._mutex:
            return Counts(self._last, self._acked, self._committed, self._acked_readings)

    def close(self) -> None:
        """Close the file; the outbox can't be used any more."""
        with self._mutex:
            self._db.close()
            self._lock_file.close()


def read_ledger(path: Path) -> tuple[str, str, dict[int, int]]:
    """Read a closed or open outbox from outside: gateway, boot, and readings of each pack ever committed.

    Raises
    ------
    OutboxError
        If it can't be read, or was written without a ledger.
    """
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            gateway, boot, last = db.execute("SELECT gateway, boot, last_seq FROM state").fetchone()
            readings = {int(seq): int(count) for seq, count in db.execute("SELECT seq, readings FROM ledger")}
        finally:
            db.close()
    except sqlite3.Error as error:
        raise OutboxError(f"{path}: {error}") from error
    if len(readings) != last:
        raise OutboxError(f"{path}: the ledger knows {len(readings)} of {last} packs")
    return gateway, boot, readings


def digest(payload: bytes) -> str:
    """Return the hash of a payload as it stands in the ledger."""
    return sha256(payload).hexdigest()[:16]


def _entries(rows: Iterable[tuple[int, int, bytes]]) -> list[tuple[int, int, str, bytes]]:
    return [(seq, readings, digest(payload), payload) for seq, readings, payload in rows]


def _lock(path: Path) -> IO[bytes]:
    """Keep a second process from numbering packs of the same outbox."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(path.name + ".lock").open("wb")
    except OSError as error:
        raise OutboxError(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise OutboxError(f"{path}: another process uses this outbox") from error
    return file


class _Transaction:
    """One transaction: commits, or rolls back and raises `OutboxError`."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db, self._path = db, path

    def __enter__(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise OutboxError(f"{self._path}: {error}") from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if error is None:
                self._db.execute("COMMIT")
                return
        except sqlite3.Error as failed:
            error = failed
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise OutboxError(f"{self._path}: {error}") from error
