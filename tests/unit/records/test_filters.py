"""Which records are wanted, and what they are about."""

import msgspec
import pytest

from connectors.wire.alert import AlertEvent
from connectors.wire.ledger import DeadLetter
from connectors.wire.pack import Pack
from connectors.wire.record import Heartbeat, Readings, encode_record
from connectors.wire.series import SeriesTable
from connectors.wire.summary import WindowSummary
from connectors.wire.topics import (
    ALERT_EVENTS,
    GATEWAY_STATUS,
    KAFKA_TOPICS,
    READINGS,
    RULES,
    SERIES_TABLES,
    WINDOW_SUMMARIES,
)
from connectors.wire.versions import to_json, to_msgpack
from deploy.local.decode import decode_value
from deploy.records.filters import Filters
from deploy.records.payload import decode_payload, letter_subjects
from deploy.records.subjects import Subject, subjects_of
from deploy.records.times import parse_time
from tests.support.samples import PART, SAMPLES, TABLE

TEMPERATURE = Subject("plant-1", "gw-7", "press-3", "temperature")
HUMIDITY = Subject("plant-1", "gw-7", "press-3", "humidity")
GATEWAY = Subject("plant-1", "gw-7")
MQTT = "tidemark/v1/plant-1/gw-7/packs"


def series_of(table: str) -> list[tuple[str, str]]:
    return [("press-3", "temperature"), ("press-3", "humidity")] if table == TABLE.id else []


def letter(payload: bytes, source: str, **fields: object) -> DeadLetter:
    base = {"service": "bridge", "reason": "bad-value", "detail": "", "received_ms": 1} | fields
    return DeadLetter(payload=payload, source=source, **base)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("topic", "data", "expected"),
    [
        (READINGS, encode_record(SAMPLES[Readings]), [TEMPERATURE, HUMIDITY]),  # type: ignore[arg-type]
        (READINGS, encode_record(SAMPLES[Heartbeat]), []),  # type: ignore[arg-type]
        (WINDOW_SUMMARIES, to_msgpack(SAMPLES[WindowSummary]), [TEMPERATURE, HUMIDITY]),
        (ALERT_EVENTS, to_json(SAMPLES[AlertEvent]), [TEMPERATURE]),
        (SERIES_TABLES, to_json(SAMPLES[SeriesTable]), [Subject("", "", *name) for name in series_of(TABLE.id)]),
        (GATEWAY_STATUS, b"{}", [GATEWAY]),
        (RULES, b"{}", []),
        (READINGS, b"junk", []),
    ],
)
def test_a_record_says_what_it_is_about(topic: str, data: bytes, expected: list[Subject]) -> None:
    assert subjects_of(topic, b"plant-1/gw-7", decode_value(topic, data), series_of) == expected


def test_readings_whose_table_lies_elsewhere_are_looked_up() -> None:
    record = decode_value(READINGS, encode_record(Readings(cell_ms=0, parts=[PART])))
    assert subjects_of(READINGS, None, record, series_of) == [TEMPERATURE, HUMIDITY]
    assert subjects_of(READINGS, None, record) == [GATEWAY]


@pytest.mark.parametrize("topic", [topic.name for topic in KAFKA_TOPICS])
@pytest.mark.parametrize("data", [b"", b"\xc1", b"[]", b"5", b"\x81\xa1v\x05", b'{"v": 99}'])
def test_what_cannot_be_read_is_about_nothing_known(topic: str, data: bytes) -> None:
    found = subjects_of(topic, None, decode_value(topic, data), series_of)
    assert not any(subject.gateway or subject.series for subject in found)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (letter(to_json(SAMPLES[Pack]), MQTT), [TEMPERATURE, HUMIDITY]),
        (letter(to_msgpack(SAMPLES[Pack]), MQTT, indexes=[1]), [HUMIDITY]),
        (letter(to_json(SAMPLES[Pack]), MQTT, indexes=[7]), [GATEWAY]),
        (letter(to_json(TABLE), "tidemark/v1/plant-1/gw-7/series/x"), [TEMPERATURE, HUMIDITY]),
        (letter(b'{"series": [1, 2]}', "tidemark/v1/plant-1/gw-7/series/x"), [GATEWAY]),
        (letter(b'{"series": "no list", "table": 5}', MQTT), [GATEWAY]),
        (letter(b"\xff\x00", MQTT), [GATEWAY]),
        (letter(b"[1]", MQTT), [GATEWAY]),
        (letter(to_json(SAMPLES[AlertEvent]), f"{ALERT_EVENTS}/0/5"), [TEMPERATURE]),
        (letter(b'{"data": ' + to_json(SAMPLES[AlertEvent]) + b"}", f"{ALERT_EVENTS}/0/5"), [TEMPERATURE]),
        (letter(encode_record(SAMPLES[Readings]), f"{READINGS}/3/9-12", gateway="gw-7"), [TEMPERATURE, HUMIDITY]),  # type: ignore[arg-type]
        (letter(b"junk", f"{READINGS}/3/9-12", gateway="gw-7"), [Subject("", "gw-7")]),
        (letter(b"junk", "elsewhere"), [Subject()]),
    ],
)
def test_a_letter_says_what_it_is_about_as_far_as_it_can_be_read(sent: DeadLetter, expected: list[Subject]) -> None:
    assert letter_subjects(sent, series_of) == expected


@pytest.mark.parametrize(
    ("payload", "form"),
    [
        (b'{"a": 1}', "json"),
        (b"21.5", "json"),
        (msgspec.msgpack.encode({"a": float("nan"), 1: b"\xff"}), "msgpack"),
        (b"T=21.5;H=40", "text"),
        (b"\xff\x00\x01", "binary"),
        (b"", "text"),
        (b"\xdc" * 50, "binary"),
        (b"[" * 5_000, "text"),
    ],
)
def test_payloads_are_decoded_as_far_as_possible(payload: bytes, form: str) -> None:
    found = decode_payload(letter(payload, MQTT))
    assert found.form == form
    assert msgspec.json.encode(found.value), "whatever it is can be shown"


def test_a_payload_from_kafka_is_decoded_as_what_its_topic_holds() -> None:
    found = decode_payload(letter(encode_record(SAMPLES[Readings]), f"{READINGS}/3/9-12"))  # type: ignore[arg-type]
    assert found.value["parts"][0]["values"] == [21.5, 40.25, 21.75]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), True),
        (Filters(sites=("plant-1",)), True),
        (Filters(sites=("plant-2", "plant-?")), True),
        (Filters(gateways=("GW-7",)), False),
        (Filters(series=("press-3/*",)), True),
        (Filters(series=("temperature",)), False),
        (Filters(gateways=("gw-7",), series=("*/speed",)), False),
    ],
)
def test_globs_choose(filters: Filters, expected: bool) -> None:
    assert filters.takes_subjects([TEMPERATURE, HUMIDITY]) is expected


def test_all_kinds_must_match_the_same_subject() -> None:
    two = [Subject("a", "gw-1", "d", "q"), Subject("b", "gw-2", "d", "q")]
    assert not Filters(sites=("a",), gateways=("gw-2",)).takes_subjects(two)
    assert not Filters(sites=("*",)).takes_subjects([]), "a record about nothing is of no site"


def test_times() -> None:
    now_ms = 1_772_359_200_000
    assert parse_time("90s", now_ms) == now_ms - 90_000
    assert parse_time("3d", now_ms) == now_ms - 3 * 86_400_000
    assert parse_time("2026-03-01T10:00:00", 0) == parse_time("2026-03-01T11:00:00+01:00", 0) == now_ms
    for wrong in ("", "yesterday", "-5m", "5 weeks", "2026-13-01"):
        with pytest.raises(ValueError, match="write for example"):
            parse_time(wrong, now_ms)
    assert [stamp for stamp in range(5) if Filters(since_ms=1, until_ms=3).takes_stamp(stamp)] == [1, 2]
