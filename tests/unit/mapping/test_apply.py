"""What a mapping makes of messages, and what it says of those that are not as it expects."""

import msgspec
import pytest

from connectors.mapping.load import parse_mappings
from connectors.mapping.refusal import Refusal
from connectors.wire.series import Series

T = 1_709_645_410_000


def mappings(**changes):
    """A mapping with two readings and a time; `changes` are its keys, None takes one away."""
    one = {
        "name": "m",
        "topic": "plant/{device}",
        "device": "{device}",
        "time": {"at": "ts", "form": "epoch_ms"},
        "readings": [
            {"value": "temp", "quantity": "temperature", "unit": "Cel"},
            {"value": "hum", "quantity": "humidity", "unit": "%RH"},
        ],
    } | changes
    document = {"site": "s", "gateway": "g", "mappings": [{k: v for k, v in one.items() if v is not None}]}
    return parse_mappings(msgspec.json.encode(document).decode())


def apply(payload, topic="plant/press", **changes):
    body = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    return mappings(**changes).match(topic).apply(body)


def values(mapped):
    return [(one.series.device, one.series.quantity, one.series.unit, one.value) for one in mapped.readings]


def test_readings_come_with_their_series_and_time():
    mapped = apply({"ts": T, "temp": 21.5, "hum": 40})
    assert values(mapped) == [("press", "temperature", "Cel", 21.5), ("press", "humidity", "%RH", 40.0)]
    assert [one.time_ms for one in mapped.readings] == [T, T]
    assert mapped.readings[0].family == (Series("press", "temperature", "Cel"), Series("press", "humidity", "%RH"))


def test_what_is_absent_or_null_is_no_reading_and_no_fault():
    mapped = apply({"ts": T, "temp": None, "hum": 40})
    assert values(mapped) == [("press", "humidity", "%RH", 40.0)]
    assert not mapped.bad


def test_zero_and_false_are_readings():
    assert [one.value for one in apply({"ts": T, "temp": 0, "hum": False}).readings] == [0.0, 0.0]


def test_without_a_time_in_the_mapping_the_receipt_is_the_time():
    assert [one.time_ms for one in apply({"temp": 1}, time=None).readings] == [None]


@pytest.mark.parametrize("bad", ["abc", "", "nan", "1_0", "0x1", "\u0661", [], {}, [1], "1,5", 10**400, "1" * 100])
def test_a_bad_value_is_bad_alone(bad):
    mapped = apply({"ts": T, "temp": bad, "hum": 40})
    assert [one.value for one in mapped.readings] == [40.0]
    (fault,) = mapped.bad
    assert (fault.place, fault.refusal.reason) == (0, "bad-value")
    assert "mapping m, 'temp'" in fault.refusal.detail


@pytest.mark.parametrize(("text", "number"), [("21.5", 21.5), (" +1e2 ", 100.0), ("-.5", -0.5), ("5.", 5.0)])
def test_a_number_in_quotes_is_a_number(text, number):
    assert [one.value for one in apply({"ts": T, "temp": text}).readings] == [number]


def test_words_scale_and_offset():
    readings = [
        {"value": "state", "quantity": "on", "values": {"ON": 1, "OFF": 0}},
        {"value": "raw", "quantity": "level", "scale": 0.5, "offset": -10},
    ]
    mapped = apply({"ts": T, "state": "OFF", "raw": 100}, readings=readings)
    assert [one.value for one in mapped.readings] == [0.0, 40.0]
    mapped = apply({"ts": T, "state": "BROKEN", "raw": 1e308}, readings=[*readings[:1], readings[1] | {"scale": 1e10}])
    assert [one.refusal.reason for one in mapped.bad] == ["bad-value", "bad-value"]


def test_a_bad_time_is_bad_for_each_reading_it_belongs_to():
    mapped = apply({"ts": "soon", "temp": 1, "hum": 2})
    assert [(one.place, one.refusal.reason) for one in mapped.bad] == [(0, "bad-time"), (1, "bad-time")]
    assert "no time at 'ts'" in apply({"temp": 1}).bad[0].refusal.detail


def test_a_list_of_items_gives_the_readings_of_each():
    mapped = apply(
        {"ts": T, "rows": [{"temp": 1, "ts": T + 1}, {"hum": 2}, {"temp": "x"}]},
        each="rows",
    )
    assert [(one.place, one.time_ms, one.value) for one in mapped.readings] == [(0, T + 1, 1.0), (3, T, 2.0)]
    assert [one.place for one in mapped.bad] == [4]


def test_names_and_units_may_come_from_the_message():
    readings = [{"value": "v", "device": "{=meta.id}-{device}", "quantity": "{=n}", "unit": "{=u}"}]
    message = {"ts": T, "meta": {"id": 7}, "rows": [{"n": "t", "u": "°C", "v": 1}, {"n": " p ", "v": 2}, {"v": 3}]}
    mapped = apply(message, each="rows", readings=readings)
    assert values(mapped) == [("7-press", "t", "Cel", 1.0), ("7-press", "p", "", 2.0)]
    assert [one.family for one in mapped.readings] == [(one.series,) for one in mapped.readings]
    assert [(one.place, one.refusal.reason) for one in mapped.bad] == [(2, "malformed")]


@pytest.mark.parametrize("name", ['""', '"   "', f'"{"x" * 201}"', "null", "true", "1.5", "[]", "{}", '"\\ud800"'])
def test_a_name_that_is_none_is_refused(name):
    body = f'{{"ts": {T}, "temp": 1, "n": {name}}}'.encode()
    readings = [{"value": "temp", "quantity": "{=n}"}, {"value": "temp", "quantity": "t"}]
    try:
        mapped = apply(body, readings=readings)
    except Refusal as refusal:
        assert (refusal.reason, "ud800" in name) == ("malformed", True), "half a pair is no JSON for the decoder"
        return
    assert [one.refusal.reason for one in mapped.bad] == ["malformed"]
    assert [one.series.quantity for one in mapped.readings] == ["t"]


def test_a_topic_level_that_is_no_name_makes_every_reading_bad():
    mapped = apply({"ts": T, "temp": 1, "hum": 2}, topic="plant/")
    assert [one.refusal.reason for one in mapped.bad] == ["malformed", "malformed"]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "malformed"),
        (b"hello", "malformed"),
        (b"\xff", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"temp": NaN}', "malformed"),
        (b"{}", "malformed"),
        (b"[]", "malformed"),
        (b"null", "malformed"),
        (b"3", "malformed"),
        (b'{"other": 1}', "malformed"),
    ],
)
def test_a_message_of_another_form_is_refused_whole(payload, reason):
    with pytest.raises(Refusal) as caught:
        apply(payload)
    assert caught.value.reason == reason
    assert "mapping m" in caught.value.detail


def test_messages_without_a_reading_may_be_let_pass():
    mapped = apply({"state": "ON"}, otherwise="ignore")
    assert not mapped.readings and not mapped.bad
    assert not apply({"state": "ON"}, otherwise="ignore", each="rows").bad
    with pytest.raises(Refusal, match="no json"):
        apply(b"no json", otherwise="ignore")


def test_too_many_readings_are_refused():
    with pytest.raises(Refusal) as caught:
        apply({"rows": [{}] * 2049}, each="rows")
    assert caught.value.reason == "too-many-readings"


def test_no_list_where_one_is_expected():
    with pytest.raises(Refusal, match="no list at 'rows'"):
        apply({"rows": {"temp": 1}}, each="rows")


def test_a_function_that_can_not_take_what_is_there_is_a_refusal():
    readings = [{"value": "sum(temp)", "quantity": "t"}, {"value": "hum", "quantity": "h"}]
    mapped = apply({"ts": T, "temp": ["a"], "hum": 1}, readings=readings)
    assert [one.value for one in mapped.readings] == [1.0]
    assert [one.refusal.reason for one in mapped.bad] == ["malformed"]


def test_a_plain_number_is_text():
    readings = [{"value": "@", "quantity": "temperature", "unit": "Cel"}]
    plain = {"format": "text", "readings": readings, "time": None}
    assert [one.value for one in apply(b" +21.5\n", **plain).readings] == [21.5]
    assert [one.refusal.reason for one in apply(b"online", **plain).bad] == ["bad-value"]


def test_senml_brings_its_own_times():
    readings = [{"value": "v", "quantity": "{=n}", "unit": "{=u}"}]
    records = [{"bn": "a", "bt": T / 1000, "bu": "A", "v": 1}, {"n": "b", "t": 1, "v": 2}, {"n": "c", "vs": "x"}]
    mapped = apply(records, format="senml", time=None, readings=readings)
    assert [(one.series.quantity, one.time_ms) for one in mapped.readings] == [("a", T), ("ab", T + 1000)]
    (relative,) = apply([{"n": "a", "t": -2.5, "v": 1}], format="senml", time=None, readings=readings).readings
    assert (relative.time_ms, relative.since_receipt_ms) == (None, -2500)


def test_site_and_gateway_come_from_the_topic():
    found = mappings(topic="{site}/{gw}/{device}", site="{site}", gateway="plc-{gw}")
    assert found.match("north/7/press").home() == ("north", "plc-7")
    with pytest.raises(Refusal, match="site"):
        found.match("/7/press").home()


def test_yaml_takes_1e_3_for_a_text_and_it_is_a_number_all_the_same():
    text = "{site: s, gateway: g, mappings: [{name: m, topic: x, readings: [{value: v, device: d, quantity: q, %s}]}]}"
    (reading,) = parse_mappings(text % 'scale: 1e-3, values: {"on": 2e3}').match("x").apply(b'{"v": "on"}').readings
    assert reading.value == 2.0
