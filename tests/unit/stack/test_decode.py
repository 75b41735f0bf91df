import msgspec
import numpy as np
import pytest

from connectors.wire.ledger import DeadLetter
from connectors.wire.record import Heartbeat, Part, Readings, encode_record
from connectors.wire.series import Series, series_table
from connectors.wire.summary import Group, Judged, WindowSummary
from connectors.wire.topics import DEAD_LETTERS, KAFKA_TOPICS, READINGS, RULES, WINDOW_SUMMARIES
from connectors.wire.versions import to_msgpack
from deploy.local.decode import COLUMNS, decode_value, full_name, numbers, short_name, text_or_base64

TABLE = series_table((Series("press", "temperature", "Cel"),))


def packed(kind: str, *values: float) -> bytes:
    return np.array(values, kind).tobytes()


def test_readings_show_numbers_and_names() -> None:
    part = Part(
        site="s",
        gateway="g",
        boot="b",
        seq=7,
        received_ms=1,
        table=TABLE.id,
        offsets=packed("<u4", 0, 5),
        series=packed("<u4", 0, 0),
        values=packed("<f8", 1.5, -2),
    )
    shown = decode_value(READINGS, encode_record(Readings(cell_ms=10_000, parts=[part], tables=[TABLE])))
    assert shown["parts"][0]["offsets"] == [0, 5]
    assert shown["parts"][0]["values"] == [1.5, -2.0]
    assert shown["parts"][0]["quality"] == []
    assert shown["tables"][0]["series"] == [{"device": "press", "quantity": "temperature", "unit": "Cel"}]
    assert msgspec.json.decode(msgspec.json.encode(shown)) == shown


def test_a_heartbeat_is_shown() -> None:
    assert decode_value(READINGS, encode_record(Heartbeat(time_ms=5, bridge="b")))["time_ms"] == 5


def test_a_summary_shows_no_number_as_none() -> None:
    floats = packed("<f8", np.nan)
    summary = WindowSummary(
        shard=1,
        start_ms=0,
        end_ms=10,
        observed=True,
        readings=1,
        duplicates=0,
        rule_version=1,
        first_offset=0,
        last_offset=0,
        groups=[Group("s", "g", TABLE.id, 1)],
        series=packed("<u4", 0),
        count=packed("<u4", 1),
        first=floats,
        last=floats,
        minimum=floats,
        maximum=floats,
        mean=floats,
        spread=floats,
        score=packed("<f4", 0.1),
        learning=bytes([99]),
        judged=[Judged("g", "b", [1, 1], 1)],
    )
    shown = decode_value(WINDOW_SUMMARIES, to_msgpack(summary))
    assert (shown["mean"], shown["score"], shown["learning"]) == ([None], [0.1], [99])


def test_a_dead_letters_payload_is_text_or_base64() -> None:
    letter = DeadLetter(
        service="bridge", reason="malformed", detail="d", source="s", received_ms=1, payload=b"\xff\x00"
    )
    assert decode_value(DEAD_LETTERS, to_msgpack(letter))["payload"] == {"base64": "/wA="}
    assert text_or_base64(b'{"v": 1}\n') == '{"v": 1}\n'
    assert text_or_base64(b"\x1b[2J") == {"base64": "G1sySg=="}, "a payload must not drive the terminal"


@pytest.mark.parametrize("topic", [topic.name for topic in KAFKA_TOPICS])
@pytest.mark.parametrize("data", [b"", b"\xc1", b"{", b"\x81\xa1v\x05", b'{"v": 99}'])
def test_what_cannot_be_read_is_shown_all_the_same(topic: str, data: bytes) -> None:
    shown = decode_value(topic, data)
    assert "unreadable" in shown or shown == {"v": 99}


def test_a_tombstone_is_none() -> None:
    assert decode_value(RULES, None) is None


def test_every_column_of_bytes_has_its_numbers() -> None:
    for event, columns in COLUMNS.items():
        assert set(columns) == {name for name, kind in event.__annotations__.items() if kind is bytes}


def test_half_a_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="multiple"):
        numbers(b"\x01\x02\x03", "<u4")


def test_short_names_are_unique_and_understood() -> None:
    for topic in KAFKA_TOPICS:
        assert full_name(short_name(topic.name)) == topic.name
    with pytest.raises(ValueError, match="no topic is called reading; there are readings,"):
        full_name("reading")
