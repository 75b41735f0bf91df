"""The outbox: once a (subscription, event), leased, retried, given up, sent again."""

import sqlite3
from pathlib import Path

import pytest

from connectors.kit.clock import ManualClock
from connectors.notifier.channels import Outcome, Reason
from connectors.notifier.message import Message
from connectors.notifier.outbox import Claim, Outbox, OutboxError

LEASE_MS = 1_000
FAILED = Outcome(Reason.SERVER, "HTTP 500")


def note(event: str) -> Message:
    return Message(id=f"msg-{event}", event_id=event, body=b"{}", title="t", text="x")


class Box:
    """An outbox with a clock that stands."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "outbox.sqlite"
        self.clock = ManualClock(1_000_000)
        self.open()

    def open(self) -> None:
        self.outbox = Outbox(self.path, self.clock.now_ms)

    def reopen(self) -> None:
        self.outbox.close()
        self.open()

    def add(self, event: str, subscription: str = "one", alert: str = "", suppressed: str = "") -> bool:
        with self.outbox.intake() as intake:
            return intake.add(subscription, alert or event, note(event), "t/0/1", suppressed)

    def claim(self, subscription: str = "one") -> Claim | None:
        return self.outbox.claim(subscription, LEASE_MS)

    def must_claim(self, subscription: str = "one") -> Claim:
        claim = self.claim(subscription)
        assert claim is not None
        return claim


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_an_event_is_one_row_a_subscription_for_ever(box: Box) -> None:
    assert box.add("e1")
    assert not box.add("e1")
    assert box.add("e1", "two")
    box.outbox.delivered(box.must_claim(), 3)
    assert not box.add("e1")
    assert box.claim() is None
    assert box.outbox.counts("pending", "delivered") == {("two", "pending"): 1, ("one", "delivered"): 1}


def test_rows_and_offsets_are_committed_together_or_not_at_all(box: Box) -> None:
    def crash() -> None:
        with box.outbox.intake() as intake:
            intake.add("one", "a", note("e1"), "t/0/1")
            intake.advance("t", 0, 5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crash()
    box.reopen()
    assert box.outbox.next_offset("t", 0) is None
    assert box.outbox.counts("pending") == {}
    with box.outbox.intake() as intake:
        intake.add("one", "a", note("e1"), "t/0/1")
        intake.advance("t", 0, 5)
    box.reopen()
    assert box.outbox.next_offset("t", 0) == 5
    assert box.outbox.counts("pending") == {("one", "pending"): 1}


def test_a_claimed_row_is_nobody_elses_until_the_lease_ends(box: Box) -> None:
    box.add("e1")
    assert box.must_claim().attempt == 1
    assert box.claim() is None
    assert box.outbox.next_due_ms("one") == box.clock.now_ms() + LEASE_MS
    box.clock.advance(LEASE_MS)
    again = box.must_claim()
    assert (again.attempt, again.message.id) == (2, "msg-e1")


def test_after_a_crash_a_lease_is_free_at_once(box: Box) -> None:
    box.add("e1")
    box.must_claim()
    box.reopen()
    assert box.must_claim().attempt == 2


def test_a_failure_is_due_later_and_keeps_its_attempts(box: Box) -> None:
    box.add("e1")
    claim = box.must_claim()
    box.outbox.later(claim, FAILED, 7, box.clock.now_ms() + 500)
    assert box.claim() is None
    box.clock.advance(500)
    box.outbox.delivered(box.must_claim(), 3)
    assert [(each["number"], each["outcome"], each["latency_ms"]) for each in box.outbox.attempts(claim.row)] == [
        (1, "server", 7),
        (2, "delivered", 3),
    ]


def test_news_of_an_alert_keep_their_order(box: Box) -> None:
    box.add("raised", alert="a")
    box.add("cleared", alert="a")
    box.add("other", alert="b")
    first = box.must_claim()
    assert first.message.event_id == "raised"
    box.outbox.later(first, FAILED, 1, box.clock.now_ms() + 60_000)
    other = box.must_claim()
    assert other.message.event_id == "other"
    box.outbox.delivered(other, 1)
    assert box.claim() is None
    assert box.outbox.next_due_ms("one") == box.clock.now_ms() + 60_000
    box.clock.advance(60_000)
    box.outbox.dead(box.must_claim(), FAILED, 1)
    # The end is told also when the beginning could not be.
    assert box.must_claim().message.event_id == "cleared"


def test_a_dead_letter_is_seen_reported_and_sent_again(box: Box) -> None:
    box.add("e1")
    claim = box.must_claim()
    box.outbox.dead(claim, FAILED, 1)
    (dead,) = box.outbox.dead_letters(unreported_only=True)
    assert (dead.reason, dead.attempts, dead.body, dead.source) == ("server", 1, b"{}", "t/0/1")
    box.outbox.reported([dead.row])
    assert box.outbox.dead_letters(unreported_only=True) == []
    assert len(box.outbox.dead_letters()) == 1
    assert box.outbox.send_again([dead.row, 99]) == 1
    again = box.must_claim()
    assert (again.attempt, again.message) == (1, note("e1"))
    assert box.outbox.dead_letters() == []
    assert box.outbox.send_again([dead.row]) == 0


def test_a_disabled_subscription_has_nothing_pending(box: Box) -> None:
    box.add("e1")
    box.add("e2", "two")
    box.outbox.disable("one", "hash", Reason.GONE)
    assert box.outbox.is_disabled("one", "hash")
    assert not box.outbox.is_disabled("one", "another address")
    assert box.outbox.counts("pending", "dead") == {("two", "pending"): 1, ("one", "dead"): 1}
    box.outbox.enable("one")
    assert not box.outbox.is_disabled("one", "hash")


def test_a_suppressed_notification_is_kept_with_its_reason_and_tells_nobody(box: Box) -> None:
    box.add("e1", alert="a", suppressed="silenced by night shift")
    assert box.claim() is None
    with box.outbox.intake() as intake:
        assert not intake.was_told("one", "a")
        intake.add("one", "a", note("e2"), "t/0/2")
        assert intake.was_told("one", "a")
        assert not intake.was_told("two", "a")
    assert box.outbox.counts("suppressed") == {("one", "suppressed"): 1}


def test_one_process_an_outbox(box: Box) -> None:
    with pytest.raises(OutboxError, match="another process"):
        Outbox(box.path, box.clock.now_ms)
    box.outbox.close()
    Outbox(box.path, box.clock.now_ms).close()


def test_a_later_version_is_refused(box: Box) -> None:
    box.outbox.close()
    with sqlite3.connect(box.path) as database:
        database.execute("PRAGMA user_version = 2")
    with pytest.raises(OutboxError, match="version 2"):
        box.open()


def test_what_is_no_database_is_refused_and_its_lock_freed(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(b"not a database" * 100)
    for _ in range(2):
        with pytest.raises(OutboxError, match="not a database"):
            Outbox(path, lambda: 0)


def test_the_database_is_its_owners_alone(box: Box) -> None:
    assert box.path.stat().st_mode & 0o077 == 0


def test_the_looks_at_the_outbox_use_its_indexes(box: Box) -> None:
    """A search of the whole table at each look would make a long history slow."""
    from connectors.notifier import outbox

    with sqlite3.connect(box.path) as database:
        for query, values in ((outbox._DUE, ("one", 1, 1)), (outbox._NEXT_DUE, ("one",))):
            plan = " ".join(row[3] for row in database.execute("EXPLAIN QUERY PLAN " + query, values))
            assert "outbox_due" in plan
            assert "SCAN" not in plan
        for state in ("pending", "dead"):
            plan = " ".join(row[3] for row in database.execute("EXPLAIN QUERY PLAN " + outbox._COUNTS[state]))
            assert f"outbox_{'due' if state == 'pending' else 'dead'}" in plan
