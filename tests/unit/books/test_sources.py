"""Where the books' entries come from: outboxes, topics, and the table at the end."""

import pytest

from connectors.wire.series import Series, series_table
from deploy.books.close import close_books
from deploy.books.devices import enter_outboxes, outboxes_in
from deploy.books.entries import Entries
from deploy.books.keys import BooksError, Streams, pack_key
from deploy.books.read import _drain, event_id_of
from deploy.books.table import as_text
from simulators.device import Draft, Outbox

TABLE = series_table((Series("d", "q"),))


def draft(first, count=3):
    return Draft(TABLE.id, 1_000, list(range(count)), [0] * count, [float(first + i) for i in range(count)])


@pytest.fixture
def outbox(tmp_path):
    box = Outbox(tmp_path / "gw.sqlite", "gw", ledger=True, synchronous="OFF")
    yield box
    box.close()


def test_an_outbox_gives_what_was_committed_what_waits_and_what_was_acknowledged(outbox, tmp_path):
    outbox.append([draft(0), draft(3, 2), draft(5, 1)])
    outbox.acknowledge(outbox.boot, 1)
    entries = Entries()
    enter_outboxes(entries.with_devices(), outboxes_in(tmp_path))
    sent = entries.devices.done()
    assert sent.readings.tolist() == [3, 2, 1]
    assert sent.waiting.tolist() == [False, True, True]
    assert sent.acked.tolist() == [1]
    assert sent.has_digest.all()
    assert len(set(sent.digest.tolist())) == 3


def test_what_an_outbox_forgot_is_lost_and_what_it_holds_is_not(outbox, tmp_path):
    outbox.append([draft(0), draft(3, 2)])
    outbox.acknowledge(outbox.boot, 1)
    entries = Entries()
    enter_outboxes(entries.with_devices(), outboxes_in(tmp_path))
    books = close_books(entries, 4, 1_000)
    assert (books.lost, books.in_outboxes) == (3, 2)
    assert {one.name for one in books.violations} == {"lost", "acknowledged-but-lost"}
    text = as_text(books)
    assert "The books don't close" in text
    assert "✗ lost: 3" in text
    assert "sent" in text


def test_an_outbox_without_a_ledger_is_refused(tmp_path):
    box = Outbox(tmp_path / "gw.sqlite", "gw", synchronous="OFF")
    box.append([draft(0)])
    box.close()
    with pytest.raises(BooksError, match="ledger"):
        enter_outboxes(Entries().with_devices(), [tmp_path / "gw.sqlite"])


def test_a_file_that_is_no_outbox_is_refused(tmp_path):
    (tmp_path / "x.sqlite").write_text("not a database, but long enough to be looked at as one")
    with pytest.raises(BooksError, match=r"x\.sqlite"):
        enter_outboxes(Entries().with_devices(), [tmp_path / "x.sqlite"])


def test_the_table_of_sound_books_says_so():
    assert as_text(close_books(Entries(), 4, 1_000)).endswith("The books close.")


def test_identities_beyond_the_bits_are_refused():
    with pytest.raises(BooksError, match="36 bits"):
        pack_key(0, 1 << 36)
    streams = Streams()
    assert [streams.id("a", "1"), streams.id("a", "2"), streams.id("a", "1")] == [0, 1, 0]


class Error:
    def __init__(self, code, retriable=False):
        self._code, self._retriable = code, retriable

    def code(self):
        return self._code

    def retriable(self):
        return self._retriable


class Message:
    def __init__(self, value=b"", error=None, partition=0, headers=()):
        self._all = value, error, partition, headers

    def value(self):
        return self._all[0]

    def error(self):
        return self._all[1]

    def topic(self):
        return "t"

    def partition(self):
        return self._all[2]

    def headers(self):
        return list(self._all[3])


class Reader:
    def __init__(self, *batches):
        self._batches = list(batches)

    def consume(self, num_messages, timeout):
        return self._batches.pop(0) if self._batches else []


def test_reading_goes_on_to_the_end_of_every_partition():
    taken = []
    reader = Reader(
        [Message(b"1"), Message(error=Error(-191))], [], [Message(b"2", partition=1), Message(error=Error(7, True))],
        [Message(error=Error(-191), partition=1)], [Message(b"beyond")],
    )  # fmt: skip
    _drain(reader, {("t", 0), ("t", 1)}, lambda message: taken.append(message.value()), 5.0)
    assert taken == [b"1", b"2"]


def test_a_broker_that_stops_giving_is_given_up():
    with pytest.raises(BooksError, match="not at its end"):
        _drain(Reader([Message(b"1")]), {("t", 0)}, lambda _: None, 0.0)


def test_a_broken_partition_is_an_error():
    with pytest.raises(BooksError, match="reading t"):
        _drain(Reader([Message(error=Error(3))]), {("t", 0)}, lambda _: None, 5.0)


def test_an_event_whose_header_and_body_differ_is_refused():
    assert event_id_of(Message(b'{"event_id":"e1"}', headers=[("ce_id", b"e1")])) == "e1"
    with pytest.raises(BooksError, match="ce_id"):
        event_id_of(Message(b'{"event_id":"e1"}', headers=[("ce_id", b"e2")]))
