"""The devices' side of the books, read from the outboxes of simulated gateways."""

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from connectors.wire.pack import Pack
from connectors.wire.versions import WireError, from_either
from deploy.books.digest import pack_digests
from deploy.books.entries import Devices
from deploy.books.keys import BooksError

_BATCH = 4096
"""Packs decoded at once: some tens of MiB."""


def outboxes_in(folder: Path) -> list[Path]:
    """Return the outboxes below a folder."""
    return sorted(folder.rglob("*.sqlite"))


def enter_outboxes(devices: Devices, paths: Iterable[Path]) -> None:
    """Enter what each outbox committed, what waits in it, and what the bridge acknowledged.

    Raises
    ------
    BooksError
        If one can't be read, or kept no ledger of what it committed.
    """
    for path in paths:
        try:
            db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
            try:
                _enter(devices, db, path)
            finally:
                db.close()
        except sqlite3.Error as error:
            raise BooksError(f"{path}: {error}") from error


def _enter(devices: Devices, db: sqlite3.Connection, path: Path) -> None:
    # One snapshot: a device that is still running must not be seen half before and half after an acknowledgement.
    db.execute("BEGIN")
    gateway, boot, last, acked = db.execute("SELECT gateway, boot, last_seq, acked_seq FROM state").fetchone()
    entered = 0
    rows: Iterator[tuple[int, int, bytes]] = db.execute("SELECT seq, readings, payload FROM ledger ORDER BY seq")
    while batch := list(islice(rows, _BATCH)):
        for (seq, readings, _), digest in zip(batch, _digests(payload for _, _, payload in batch), strict=True):
            devices.committed(gateway, boot, seq, readings, digest)
        entered += len(batch)
    if entered != last:
        raise BooksError(f"{path}: its ledger knows {entered} of {last} packs; open the outbox with a ledger")
    for (seq,) in db.execute("SELECT seq FROM packs"):
        devices.waiting(gateway, boot, seq)
    devices.acked(gateway, boot, acked)


def _digests(payloads: Iterable[bytes]) -> list[int | None]:
    return pack_digests([_decoded(payload) for payload in payloads])


def _decoded(payload: bytes) -> Pack:
    try:
        return from_either(Pack, payload)
    except WireError:
        # A device may be told to send what can't be read; its content can't be compared then.
        return _UNREADABLE


_UNREADABLE = Pack(boot="unreadable", seq=1, table="", base_ms=0, offsets_ms=[], series=[], values=[])
