"""Records to points and dead letters."""

import msgspec

from connectors.influxdb.batch import DETAILS_SHOWN, Batch, Recent, Record
from connectors.influxdb.names import NameBook
from connectors.influxdb.writes import Reason, Refusal
from connectors.kit.deadletters import PAYLOAD_BYTES, fitting
from connectors.wire.alert import AlertEvent
from connectors.wire.ledger import DeadLetter
from connectors.wire.series import Series, series_table
from connectors.wire.summary import WindowSummary
from connectors.wire.topics import ALERT_EVENTS, WINDOW_SUMMARIES
from connectors.wire.versions import to_json, to_msgpack
from tests.support.samples import SAMPLES

SUMMARY = SAMPLES[WindowSummary]
EVENT = SAMPLES[AlertEvent]
TABLE = series_table((Series("press-3", "temperature", "Cel"), Series("press-3", "humidity", "%RH")))


def batch() -> Batch:
    return Batch(NameBook(["*"], lambda _: TABLE).lookup, lambda: 42)


def alert(offset: int, value: bytes) -> Record:
    return Record(ALERT_EVENTS, 1, offset, value)


def test_a_repeated_event_is_dropped() -> None:
    one = batch()
    for offset in range(3):
        one.add(alert(offset, to_json(EVENT)))
    assert len(one.take_points()) == 1
    assert one.repeats == 2
    assert one.take_letters() == []


def test_what_is_no_event_is_dead_with_its_bytes() -> None:
    one = batch()
    one.add(alert(7, b"\xff{"))
    one.add(alert(8, b'{"v": 99}'))
    first, second = one.take_letters()
    assert (first.reason, first.source, first.payload) == ("malformed", f"{ALERT_EVENTS}/1/7", b"\xff{")
    assert (second.reason, second.received_ms, second.service) == ("unknown-version", 42, "influxdb")
    assert one.take_letters() == []


def test_a_tombstone_is_dead_and_no_crash() -> None:
    one = batch()
    one.add(alert(7, b""))
    assert [letter.reason for letter in one.take_letters()] == ["malformed"]


def test_refused_points_of_a_record_share_a_letter() -> None:
    one = batch()
    record = Record(WINDOW_SUMMARIES, 0, 5, to_msgpack(SUMMARY))
    one.add(record)
    points = one.take_points()
    assert len(points) > 1
    for number, point in enumerate(points):
        one.refuse(point, Refusal(Reason.REJECTED, f"no {number}"))
    (letter,) = one.take_letters()
    assert letter.reason == "rejected"
    assert letter.indexes == sorted(point.row for point in points)
    assert letter.payload == record.value
    assert letter.gateway == points[0].gateway != ""


def test_a_letter_shows_a_few_of_many_details() -> None:
    one = batch()
    one.add(alert(1, to_json(EVENT)))
    (point,) = one.take_points()
    for number in range(50):
        one.refuse(point, Refusal(Reason.REJECTED, f"no {number}"))
    (letter,) = one.take_letters()
    assert letter.detail.count("no ") == DETAILS_SHOWN
    assert letter.detail.endswith("(and 45 more)")


def test_an_id_is_forgotten_after_many_others() -> None:
    recent = Recent(2)
    assert [recent.is_new(each) for each in ("a", "b", "a", "c", "a")] == [True, True, False, True, True]


def test_a_letter_too_large_for_kafka_leaves_its_payload_where_it_lies() -> None:
    letter = msgspec.structs.replace(SAMPLES[DeadLetter], payload=b"x" * (PAYLOAD_BYTES + 1), source="t/0/1")
    assert fitting(letter).payload == b""
    assert "left out" in fitting(letter).detail
    assert fitting(letter).source == "t/0/1"
