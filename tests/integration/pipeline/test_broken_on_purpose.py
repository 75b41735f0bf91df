"""The checker's own test: a pipeline that loses, invents or acknowledges too early is caught by the books."""

import signal
from pathlib import Path

import msgspec
import pytest

from deploy.books.close import Books
from tests.support.fleet import fleet
from tests.support.load import sent_by
from tests.support.offline import difference
from tests.support.pipeline import Pipeline
from tests.support.side import Side

pytestmark = pytest.mark.integration

BROKEN = "tests.support.broken_bridge"


def run(pipeline: Pipeline, folder: Path, gateway: str, *module: str, kill: bool = False) -> Books:
    """Send two windows through a second bridge, and close the books once all is acknowledged."""
    with Side(pipeline.settings, folder / gateway) as side:
        side.start_bridge(*module)
        with fleet(side.settings, folder, [gateway], pipeline.next_start_ms(), 2) as one:
            one.wait_produced()
            one.wait_acknowledged()
            if kill:
                side.signal_bridge(signal.SIGKILL)
                side.start_bridge()
            side.signal_bridge(signal.SIGTERM)
            sent = sent_by(one)
            # What is in Kafka by now is all there will be; whether the job has judged it is not the point here.
            return pipeline.books(sent, drained=False)


def faults(books: Books) -> set[str]:
    return {one.name for one in books.violations}


def test_a_sound_bridge_beside_has_sound_books(pipeline: Pipeline, outboxes: Path) -> None:
    """So that what the others show is their fault, and not this set-up's."""
    books = run(pipeline, outboxes, "sound")
    assert not books.violations
    assert books.lost == 0


def test_acknowledging_before_kafka_is_caught(pipeline: Pipeline, outboxes: Path) -> None:
    books = run(pipeline, outboxes, "early", BROKEN, "early-ack", kill=True)
    assert faults(books) == {"lost", "acknowledged-but-lost"}
    assert books.lost == books.sent


def test_a_dropped_record_is_caught(pipeline: Pipeline, outboxes: Path) -> None:
    books = run(pipeline, outboxes, "dropping", BROKEN, "drop")
    assert faults(books) == {"lost", "acknowledged-but-lost"}
    assert books.lost is not None
    assert books.sent is not None
    assert 0 < books.lost < books.sent


def test_a_copy_under_a_new_number_is_caught(pipeline: Pipeline, outboxes: Path) -> None:
    books = run(pipeline, outboxes, "doubling", BROKEN, "duplicate")
    assert "invented" in faults(books)
    assert books.lost == 0


def test_a_lost_or_repeated_alert_is_caught(pipeline: Pipeline, outboxes: Path) -> None:
    gateway = "watched"
    with fleet(pipeline.settings, outboxes, [gateway], pipeline.next_start_ms(), 3) as one:
        one.wait_produced()
        one.wait_acknowledged()
        pipeline.wait_judged(one.end_ms)
        sent = sent_by(one)[gateway]
    assert pipeline.check_alerts(gateway, sent) > 0
    expected, events = pipeline.expected(gateway, sent).alerts, pipeline.alerts_of(gateway)
    assert not difference(events, expected)
    assert "missing" in difference(events[1:], expected)
    assert "twice" in difference([*events, events[0]], expected)
    assert "extra" in difference([*events, msgspec.structs.replace(events[0], event_id="0")], expected)
