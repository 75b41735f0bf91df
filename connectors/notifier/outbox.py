"""The outbox: notifications and Kafka's offsets in one SQLite file, so that both are there or neither is.

A row is `pending` until its channel took it (`delivered`) or will never (`dead`); `suppressed` was never to be sent.
There is one row a (subscription, event), for ever, so reading the log again sends nothing again. A row under way is
leased: if the process dies, the lease ends, and the row is sent again under the same id.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from connectors.notifier.channels import Outcome, Reason
from connectors.notifier.message import Message

State = Literal["pending", "delivered", "dead", "suppressed"]
SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    subscription TEXT NOT NULL,
    event_id TEXT NOT NULL,
    alert_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    source TEXT NOT NULL,
    body BLOB NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead', 'suppressed')),
    reason TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER NOT NULL,
    leased_until_ms INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    reported INTEGER NOT NULL DEFAULT 0,
    UNIQUE (subscription, event_id)
);
CREATE INDEX outbox_due ON outbox (subscription, due_ms, id) WHERE state = 'pending';
CREATE INDEX outbox_of_alert ON outbox (subscription, alert_id, id);
CREATE INDEX outbox_dead ON outbox (subscription, id) WHERE state = 'dead';
CREATE INDEX outbox_unreported ON outbox (id) WHERE state = 'dead' AND reported = 0;
CREATE TABLE attempts (
    outbox_id INTEGER NOT NULL REFERENCES outbox (id),
    number INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (outbox_id, number)
) WITHOUT ROWID;
CREATE TABLE offsets (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE disabled (
    subscription TEXT PRIMARY KEY, address_hash TEXT NOT NULL, reason TEXT NOT NULL, at_ms INTEGER NOT NULL
) WITHOUT ROWID;
"""

# Earlier news of the same alert goes first: "cleared" must not overtake a "raised" that is being retried.
_HEADS = """
FROM outbox AS row WHERE subscription = ? AND state = 'pending' AND NOT EXISTS (
    SELECT 1 FROM outbox AS earlier WHERE earlier.subscription = row.subscription
    AND earlier.alert_id = row.alert_id AND earlier.id < row.id AND earlier.state = 'pending'
)
"""
_DUE = (
    f"SELECT id, message_id, event_id, body, title, text, attempts + 1, created_ms {_HEADS}"
    " AND due_ms <= ? AND leased_until_ms <= ? ORDER BY due_ms, id LIMIT 1"
)
_NEXT_DUE = f"SELECT min(max(due_ms, leased_until_ms)) {_HEADS}"
_DEAD = (
    "SELECT id, subscription, event_id, alert_id, message_id, source, body, reason, attempts, ended_ms"
    " FROM outbox WHERE state = 'dead'"
)

# The state stands in the text because SQLite picks a partial index by constants alone.
_COUNTS: dict[State, str] = {
    "pending": "SELECT subscription, count(*) FROM outbox WHERE state = 'pending' GROUP BY subscription",
    "delivered": "SELECT subscription, count(*) FROM outbox WHERE state = 'delivered' GROUP BY subscription",
    "dead": "SELECT subscription, count(*) FROM outbox WHERE state = 'dead' GROUP BY subscription",
    "suppressed": "SELECT subscription, count(*) FROM outbox WHERE state = 'suppressed' GROUP BY subscription",
}


class OutboxError(Exception):
    """The database can't be used; the message says why."""


@dataclass(frozen=True)
class Claim:
    """A row that is being sent.

    Attributes
    ----------
    attempt
        1 for the first.
    """

    row: int
    message: Message
    attempt: int
    created_ms: int


@dataclass(frozen=True)
class Dead:
    """A notification that was given up."""

    row: int
    subscription: str
    event_id: str
    alert_id: str
    message_id: str
    source: str
    body: bytes
    reason: str
    attempts: int
    ended_ms: int


class Intake:
    """What may be done while records are taken in; all of it is committed together."""

    def __init__(self, database: sqlite3.Connection, now_ms: int) -> None:
        self._database = database
        self._now_ms = now_ms

    def was_told(self, subscription: str, alert_id: str) -> bool:
        """Whether a subscription was sent, or is going to be sent, anything of an alert."""
        query = "SELECT 1 FROM outbox WHERE subscription = ? AND alert_id = ? AND state != 'suppressed' LIMIT 1"
        return self._database.execute(query, (subscription, alert_id)).fetchone() is not None

    def add(self, subscription: str, alert_id: str, message: Message, source: str, suppressed: str = "") -> bool:
        """Add a notification; False if there is one for this event already."""
        cursor = self._database.execute(
            "INSERT INTO outbox (subscription, event_id, alert_id, message_id, source, body, title, text, state,"
            " reason, due_ms, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                subscription,
                message.event_id,
                alert_id,
                message.id,
                source,
                message.body,
                message.title,
                message.text,
                "suppressed" if suppressed else "pending",
                suppressed,
                self._now_ms,
                self._now_ms,
            ),
        )
        return cursor.rowcount == 1

    def advance(self, topic: str, partition: int, next_offset: int) -> None:
        """Note that everything before `next_offset` is taken in."""
        self._database.execute(
            "INSERT INTO offsets VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset",
            (topic, partition, next_offset),
        )


class Outbox:
    """The outbox; one process a file, any number of threads.

    Parameters
    ----------
    path
        The database; made if it isn't there.
    now_ms
        Wall time.

    Raises
    ------
    OutboxError
        If another process has it, or a later Tidemark wrote it.
    """

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._lock = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file = _lock(path.with_name(path.name + ".lock"))
        try:
            # Notifications name places and may be private: nobody else's to read.
            path.touch(0o600)
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._prepare(path)
        except (sqlite3.Error, OSError) as error:
            os.close(self._lock_file)
            raise OutboxError(f"outbox {path}: {error}") from error

    def _prepare(self, path: Path) -> None:
        database = self._database
        database.execute("PRAGMA journal_mode = WAL")
        # FULL: an offset that was committed must not be lost with the power, nor a row with it.
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise OutboxError(f"outbox {path} is of version {version}; this build knows {SCHEMA_VERSION}")
        if version == 0:
            database.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")
        # We hold the lock, so whoever leased them is gone.
        database.execute("UPDATE outbox SET leased_until_ms = 0 WHERE state = 'pending' AND leased_until_ms > 0")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    @contextmanager
    def intake(self) -> Iterator[Intake]:
        """Take records in: rows and offsets are committed at the end of the block, or not at all."""
        with self._transaction() as database:
            yield Intake(database, self._now_ms())

    def next_offset(self, topic: str, partition: int) -> int | None:
        """Return where to read on; None if the partition was never read."""
        with self._lock:
            query = "SELECT next_offset FROM offsets WHERE topic = ? AND partition = ?"
            row = self._database.execute(query, (topic, partition)).fetchone()
        return None if row is None else int(row[0])

    def claim(self, subscription: str, lease_ms: int) -> Claim | None:
        """Lease the subscription's next notification that is due; None if none is."""
        now = self._now_ms()
        with self._transaction() as database:
            found = database.execute(_DUE, (subscription, now, now)).fetchone()
            if found is None:
                return None
            row, message_id, event_id, body, title, text, attempt, created_ms = found
            # Counted before it is made: one that kills the process each time is given up too.
            database.execute(
                "UPDATE outbox SET attempts = ?, leased_until_ms = ? WHERE id = ?", (attempt, now + lease_ms, row)
            )
        message = Message(id=message_id, event_id=event_id, body=body, title=title, text=text)
        return Claim(row, message, attempt, created_ms)

    def delivered(self, claim: Claim, latency_ms: int) -> None:
        """End a claim: the channel took it. The words are dropped, the row stays as proof."""
        self._end(claim, "delivered", Outcome(), latency_ms)

    def dead(self, claim: Claim, outcome: Outcome, latency_ms: int) -> None:
        """End a claim: it is given up."""
        self._end(claim, "dead", outcome, latency_ms)

    def later(self, claim: Claim, outcome: Outcome, latency_ms: int, due_ms: int) -> None:
        """End a claim: it is tried again at `due_ms`."""
        with self._transaction() as database:
            database.execute(
                "UPDATE outbox SET due_ms = ?, leased_until_ms = 0, reason = ? WHERE id = ? AND state = 'pending'",
                (due_ms, str(outcome.reason), claim.row),
            )
            self._note(database, claim, outcome, latency_ms)

    def _end(self, claim: Claim, state: State, outcome: Outcome, latency_ms: int) -> None:
        now = self._now_ms()
        with self._transaction() as database:
            database.execute(
                "UPDATE outbox SET state = ?, reason = ?, leased_until_ms = 0, ended_ms = ?,"
                " body = CASE ? WHEN 'delivered' THEN x'' ELSE body END WHERE id = ? AND state = 'pending'",
                (state, str(outcome.reason or ""), now, state, claim.row),
            )
            self._note(database, claim, outcome, latency_ms)

    def _note(self, database: sqlite3.Connection, claim: Claim, outcome: Outcome, latency_ms: int) -> None:
        database.execute(
            "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?)",
            (claim.row, claim.attempt, self._now_ms(), latency_ms, str(outcome.reason or "delivered"), outcome.detail),
        )

    def next_due_ms(self, subscription: str) -> int | None:
        """Return when the subscription's next notification is due; None if none is pending."""
        with self._lock:
            row = self._database.execute(_NEXT_DUE, (subscription,)).fetchone()
        return None if row[0] is None else int(row[0])

    def disable(self, subscription: str, address_hash: str, reason: Reason) -> None:
        """Send nothing more to a subscription at this address; what is pending is dead."""
        now = self._now_ms()
        with self._transaction() as database:
            database.execute(
                "INSERT OR REPLACE INTO disabled VALUES (?, ?, ?, ?)", (subscription, address_hash, str(reason), now)
            )
            self._give_up(database, subscription, str(reason), now)

    def is_disabled(self, subscription: str, address_hash: str) -> bool:
        """Whether the subscription was disabled at this address."""
        with self._lock:
            query = "SELECT 1 FROM disabled WHERE subscription = ? AND address_hash = ?"
            return self._database.execute(query, (subscription, address_hash)).fetchone() is not None

    def enable(self, subscription: str) -> None:
        """Forget that a subscription was disabled."""
        with self._transaction() as database:
            database.execute("DELETE FROM disabled WHERE subscription = ?", (subscription,))

    def give_up(self, subscription: str, reason: str) -> int:
        """Make all pending notifications of a subscription dead; return how many."""
        with self._transaction() as database:
            return self._give_up(database, subscription, reason, self._now_ms())

    @staticmethod
    def _give_up(database: sqlite3.Connection, subscription: str, reason: str, now_ms: int) -> int:
        cursor = database.execute(
            "UPDATE outbox SET state = 'dead', reason = ?, ended_ms = ?, leased_until_ms = 0"
            " WHERE subscription = ? AND state = 'pending'",
            (reason, now_ms, subscription),
        )
        return cursor.rowcount

    def pending_subscriptions(self) -> list[str]:
        """Return the names that have pending notifications."""
        with self._lock:
            rows = self._database.execute("SELECT DISTINCT subscription FROM outbox WHERE state = 'pending'").fetchall()
        return [row[0] for row in rows]

    def counts(self, *states: State) -> dict[tuple[str, State], int]:
        """Return how many rows each (subscription, state) has; pending and dead are cheap to count."""
        found: dict[tuple[str, State], int] = {}
        for state in states:
            with self._lock:
                rows = self._database.execute(_COUNTS[state]).fetchall()
            found.update({(name, state): number for name, number in rows})
        return found

    def dead_letters(self, *, unreported_only: bool = False, limit: int = 1_000) -> list[Dead]:
        """Return notifications that were given up, oldest first."""
        with self._lock:
            only = " AND reported = 0" if unreported_only else ""
            rows = self._database.execute(_DEAD + only + " ORDER BY id LIMIT ?", (limit,)).fetchall()
        return [Dead(*row) for row in rows]

    def reported(self, rows: Sequence[int]) -> None:
        """Note that the dead-letter topic has these rows."""
        with self._transaction() as database:
            database.executemany("UPDATE outbox SET reported = 1 WHERE id = ?", [(row,) for row in rows])

    def send_again(self, rows: Sequence[int]) -> int:
        """Make dead notifications pending again, with a whole schedule before them; return how many."""
        now = self._now_ms()
        with self._transaction() as database:
            sent = 0
            for row in rows:
                database.execute(
                    "DELETE FROM attempts WHERE outbox_id = ? AND EXISTS"
                    " (SELECT 1 FROM outbox WHERE id = ? AND state = 'dead')",
                    (row, row),
                )
                sent += database.execute(
                    "UPDATE outbox SET state = 'pending', reason = '', attempts = 0, due_ms = ?, ended_ms = NULL,"
                    " reported = 0 WHERE id = ? AND state = 'dead'",
                    (now, row),
                ).rowcount
        return sent

    def attempts(self, row: int) -> list[Mapping[str, Any]]:
        """Return the attempts of a row."""
        with self._lock:
            query = (
                "SELECT number, at_ms, latency_ms, outcome, detail FROM attempts WHERE outbox_id = ? ORDER BY number"
            )
            names = ("number", "at_ms", "latency_ms", "outcome", "detail")
            return [dict(zip(names, found, strict=True)) for found in self._database.execute(query, (row,))]

    def close(self) -> None:
        """Close the database and let another process have it."""
        with self._lock:
            self._database.close()
            os.close(self._lock_file)


def _lock(path: Path) -> int:
    """Take the file's lock, which the kernel gives up with the process, however that ends."""
    import fcntl

    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise OutboxError(f"another process has the outbox (it holds {path})") from error
    return descriptor
