"""The outbox: committed before sent, deleted only when acknowledged."""

import sqlite3
from pathlib import Path

import pytest

from connectors.wire.pack import Pack
from connectors.wire.series import Series, series_table
from connectors.wire.versions import from_either
from simulators.device import Draft, Outbox, OutboxError, OutboxFull, PackTooLarge
from simulators.device.outbox import digest, read_ledger

TABLE = series_table((Series("press-1", "temperature", "Cel"),))


def draft(readings: int = 2) -> Draft:
    return Draft(TABLE.id, 1_700_000_000_000, list(range(readings)), [0] * readings, [1.5] * readings)


def opened(folder: Path, **options: object) -> Outbox:
    return Outbox(folder / "gw.sqlite", "gw-1", **options)  # type: ignore[arg-type]


def test_packs_are_numbered_without_gaps_and_hold_their_number(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    assert outbox.append([draft(), draft(3)]) == range(1, 3)
    assert outbox.append([draft()]) == range(3, 4)
    packs = [from_either(Pack, payload) for _, payload in outbox.payloads(1, 10)]
    assert [(pack.seq, pack.boot, len(pack.values)) for pack in packs] == [
        (1, outbox.boot, 2), (2, outbox.boot, 3), (3, outbox.boot, 2),
    ]  # fmt: skip


def test_json_is_an_encoding_too(tmp_path: Path) -> None:
    outbox = opened(tmp_path, encoding="json")
    outbox.append([draft()])
    assert outbox.payloads(1, 1)[0][1].startswith(b"{")


def test_everything_outlives_a_restart(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.declare(TABLE)
    first.append([draft(), draft(), draft()])
    first.acknowledge(first.boot, 2)
    counts, boot = first.counts(), first.boot
    first.close()
    again = opened(tmp_path)
    assert (again.boot, again.counts(), dict(again.tables)) == (boot, counts, {TABLE.id: TABLE})
    assert [seq for seq, _ in again.payloads(1, 10)] == [3]
    assert again.append([draft()]) == range(4, 5)


def test_a_new_file_is_a_new_boot(tmp_path: Path) -> None:
    assert opened(tmp_path / "a").boot != opened(tmp_path / "b").boot


@pytest.mark.parametrize("boot_and_seq", [("other", 2), ("", 0), ("", 4), ("", -1)])
def test_foreign_old_and_impossible_acks_delete_nothing(tmp_path: Path, boot_and_seq: tuple[str, int]) -> None:
    outbox = opened(tmp_path)
    outbox.append([draft()] * 3)
    assert outbox.acknowledge(boot_and_seq[0] or outbox.boot, boot_and_seq[1]) == 0
    assert outbox.counts().pending_packs == 3


def test_the_books_close(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([draft(2), draft(3), draft(5)])
    assert outbox.acknowledge(outbox.boot, 2) == 5
    assert outbox.acknowledge(outbox.boot, 1) == 0
    counts = outbox.counts()
    assert (counts.committed_readings, counts.acknowledged_readings, counts.pending_readings) == (10, 5, 5)


def test_a_pack_too_large_is_refused_before_it_has_a_number(tmp_path: Path) -> None:
    outbox = opened(tmp_path, limit_bytes=200)
    with pytest.raises(PackTooLarge, match="the limit is 200"):
        outbox.append([draft(), draft(50)])
    assert outbox.append([draft()]) == range(1, 2)
    with pytest.raises(PackTooLarge, match="at most 4096"):
        outbox.append([draft(4097)])


@pytest.mark.parametrize("wrong", [Draft(TABLE.id, 0, [], [], []), Draft(TABLE.id, 0, [0], [0], [1.0, 2.0])])
def test_columns_that_differ_are_refused(tmp_path: Path, wrong: Draft) -> None:
    with pytest.raises(ValueError, match="equal length"):
        opened(tmp_path).append([wrong])


def test_a_full_outbox_refuses_and_takes_again_after_an_ack(tmp_path: Path) -> None:
    outbox = opened(tmp_path, limit_packs=3)
    outbox.append([draft()] * 3)
    with pytest.raises(OutboxFull, match="holds 3 packs, at most 3"):
        outbox.append([draft()])
    outbox.acknowledge(outbox.boot, 1)
    assert outbox.append([draft()]) == range(4, 5)


def test_the_ledger_keeps_what_was_attempted(tmp_path: Path) -> None:
    outbox = opened(tmp_path, ledger=True)
    outbox.append([draft(2), draft(3)])
    payloads = dict(outbox.payloads(1, 2))
    outbox.acknowledge(outbox.boot, 2)
    assert outbox.attempted() == {1: (2, digest(payloads[1])), 2: (3, digest(payloads[2]))}
    assert read_ledger(outbox.path) == ("gw-1", outbox.boot, {1: 2, 2: 3})


def test_books_without_a_ledger_are_refused(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([draft()])
    with pytest.raises(OutboxError, match="knows 0 of 1"):
        read_ledger(outbox.path)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(OutboxError, match="another process"):
        opened(tmp_path)
    first.close()
    opened(tmp_path).close()


def test_another_gateways_file_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with pytest.raises(OutboxError, match="belongs to gateway gw-1, not gw-2"):
        Outbox(tmp_path / "gw.sqlite", "gw-2")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gw.sqlite").write_bytes(b"not a database, whatever its name may say" * 100)
    with pytest.raises(OutboxError, match="not a database"):
        opened(tmp_path)


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / "gw.sqlite") as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(OutboxError, match="another version"):
        opened(tmp_path)


def test_a_commit_that_fails_changes_nothing(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([draft()])
    with sqlite3.connect(tmp_path / "gw.sqlite") as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON packs BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    with pytest.raises(OutboxError, match="disk is full"):
        outbox.append([draft()])
    with sqlite3.connect(tmp_path / "gw.sqlite") as db:
        db.execute("DROP TRIGGER full")
    assert outbox.append([draft()]) == range(2, 3)
    assert outbox.counts().committed_packs == 2


def test_it_syncs_in_full_unless_told_otherwise(tmp_path: Path) -> None:
    full, off = opened(tmp_path / "full"), opened(tmp_path / "off", synchronous="OFF")
    assert full._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert off._db.execute("PRAGMA synchronous").fetchone() == (0,)
    assert full._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
