"""What `discover` proposes for each family of payloads, and that it says so when it can't."""

import random

import pytest
import yaml

from connectors.mapping.discover.discovery import discover
from connectors.mapping.discover.heard import MAX_MESSAGES, Heard
from connectors.mapping.discover.preview import preview
from connectors.mapping.load import parse_mappings
from tests.support.payloads import FOLDER, NOW_MS, heard, recorded

S = 1000
T10 = NOW_MS - 2 * S
"""13:30:10."""


def proposed(*names):
    """Return the proposed mappings by topic, and what they make of the messages."""
    found = discover(heard(*names), "home")
    document = yaml.safe_load(found.text)
    assert document["site"] == "home"
    shown = preview(heard(*names), parse_mappings(found.text))
    assert shown.faults == []
    return {one["topic"]: one for one in document["mappings"]}, shown


def series(shown):
    """Return device/quantity → (value, unit, event time or None for the receipt)."""
    return {
        f"{one.device}/{one.quantity}": (one.value, one.unit, None if one.by_receipt else one.time_ms)
        for one in shown.readings
    }


def test_tasmota():
    mappings, shown = proposed("tasmota")
    assert set(mappings) == {"tele/{device}/SENSOR", "tele/{device}/STATE"}
    sensor = mappings["tele/{device}/SENSOR"]
    assert (sensor["gateway"], sensor["device"]) == ("tasmota", "{device}")
    assert sensor["time"] == {"at": "Time", "form": "iso8601", "zone": "+01:00"}
    found = series(shown)
    assert found["boiler-room/am2301.temperature"] == (21.4, "Cel", T10)
    assert found["boiler-room/am2301.humidity"] == (46.1, "%RH", T10)
    assert found["pump/energy.power"] == (118.0, "W", T10 + S)
    assert found["pump/energy.total"] == (5.432, "kWh", T10 + S)
    assert found["pump/energy.apparentpower"][1] == "VA" and found["pump/energy.reactivepower"][1] == "var"
    assert found["tank/ds18b20-2.temperature"] == (44.9, "Cel", T10 - S)
    assert found["boiler-room/wifi.rssi"][1] == "%" and found["boiler-room/wifi.signal"][1] == "dBm"


def test_tasmota_in_fahrenheit_is_converted():
    made = Heard()
    made.add("tele/a/SENSOR", b'{"Time":"2024-03-05T13:30:11","X":{"Temperature":212},"TempUnit":"F"}', NOW_MS)
    (reading,) = preview(made, parse_mappings(discover(made, "s").text)).readings
    assert (round(reading.value, 9), reading.unit) == (100.0, "Cel")


def test_zigbee2mqtt():
    mappings, shown = proposed("zigbee2mqtt")
    assert set(mappings) == {"zigbee2mqtt/{device}"}
    one = mappings["zigbee2mqtt/{device}"]
    assert one["time"] == {"at": "last_seen", "form": "iso8601"}
    assert (one["otherwise"], one["gateway"]) == ("ignore", "zigbee2mqtt")
    found = series(shown)
    assert found["cold-store/temperature"] == (4.35, "Cel", T10 + S)
    assert found["cold-store/pressure"][:2] == (1012.6, "hPa")
    assert found["cold-store/voltage"][:2] == (2.985, "V"), "a battery's voltage is told in millivolts"
    assert found["dock-plug/voltage"][:2] == (229.0, "V")
    assert found["dock-plug/energy"][:2] == (12.7, "kWh")
    assert found["gate/battery"][:2] == (100.0, "%EL")
    assert shown.passed == 1, "a button's press is no reading and no dead letter"


def test_shelly_notifications():
    mappings, shown = proposed("shelly")
    assert set(mappings) == {"{device}/events/rpc"}
    one = mappings["{device}/events/rpc"]
    assert one["time"] == {"at": "params.ts", "form": "epoch_s"}
    assert one["otherwise"] == "ignore"
    found = series(shown)
    assert found["shellyplusplugs-d4e5f6/switch:0.apower"] == (8.9, "W", T10 + 40)
    assert found["shellyplusplugs-d4e5f6/switch:0.aenergy.total"][:2] == (6532.1, "Wh")
    assert found["shellyplusplugs-d4e5f6/switch:0.temperature"][:2] == (23.5, "Cel")
    assert found["shellypro3em-a1b2c3/em:0.a_voltage"][:2] == (236.1, "V")
    assert not [name for name in found if "tf" in name.lower() or name.endswith((".id", "minute_ts"))]


def test_shelly_status_topics():
    mappings, shown = proposed("shelly-status")
    assert set(mappings) == {"{device}/status/{component}"}
    assert "time" not in mappings["{device}/status/{component}"], "minute_ts is the energy's, not the reading's"
    found = series(shown)
    assert found["shellyplusplugs-d4e5f6/switch:0.apower"] == (8.9, "W", None)
    assert found["shellyht-0a0b0c/humidity:0.rh"] == (51.2, "%RH", None)


def test_senml():
    mappings, shown = proposed("senml")
    (one,) = mappings.values()
    assert (one["topic"], one["format"]) == ("lab/{device}/senml", "senml")
    assert one["readings"] == [{"value": "v", "quantity": "{=quantity}", "unit": "{=u}"}]
    found = series(shown)
    assert found["urn:dev:ow:10e2073a01080063/voltage"] == (120.1, "V", T10)
    assert found["urn:dev:ow:10e2073a01080063/current"] == (1.7, "A", T10)
    assert found["urn:dev:mac:0024befffe804ff1/humidity"] == (38.0, "%RH", T10 - 500)


def test_flat_json():
    mappings, shown = proposed("flat-json")
    (one,) = mappings.values()
    assert (one["topic"], one["device"]) == ("factory/{level2}/{device}/telemetry", "{level2}-{device}")
    assert one["time"] == {"at": "timestamp", "form": "epoch_ms"}
    found = series(shown)
    assert found["hall-2-press-1/temperature_c"] == (71.2, "Cel", T10 + 123)
    assert found["hall-3-press-7/pressure_bar"][:2] == (5.9, "bar")
    assert not [name for name in found if name.endswith("/seq")]


def test_nested_json():
    mappings, shown = proposed("nested-json")
    (one,) = mappings.values()
    assert (one["topic"], one["time"]) == ("plc/{device}/data", {"at": "timestamp", "form": "iso8601"})
    found = series(shown)
    assert found["line-1/oven.temperature"] == (182.4, "Cel", T10 + 250)
    assert found["line-2/belt.speed"] == (1.24, "m/s", T10 + 750)
    assert len(found) == 6


def test_tags_of_a_plc():
    mappings, shown = proposed("plc-flat")
    (one,) = mappings.values()
    assert one["topic"] == "s7/{device}"
    found = series(shown)
    assert found["plc-4/db10.tank.level"] == (71.4, "", T10)
    assert found["plc-5/db11.motor.current"] == (11.1, "A", T10 + S)


def test_a_list_of_readings():
    mappings, shown = proposed("array-of-readings")
    (one,) = mappings.values()
    assert (one["topic"], one["each"], one["time"]["at"]) == ("gateways/{device}/readings", "readings", "ts")
    assert one["readings"] == [{"value": "value", "quantity": "{=name}", "unit": "{=unit}"}]
    assert series(shown) == {
        "modbus-1/flow": (12.4, "m3/h", T10 + 500),
        "modbus-1/temperature": (54.1, "Cel", T10 + 500),
        "modbus-2/flow": (11.9, "m3/h", T10 + 900),
        "modbus-2/pressure": (3.4, "bar", T10 + 900),
    }


def test_a_list_of_records():
    mappings, shown = proposed("array-of-records")
    (one,) = mappings.values()
    assert (one["topic"], one["each"], one["device"]) == ("loggers/batch", "@", "{=device}")
    found = series(shown)
    assert found["logger-7/temperature"] == (5.2, "Cel", T10 - 5 * S)
    assert found["logger-9/temperature"] == (6.4, "Cel", T10 - 8 * S)


def test_a_device_that_the_payload_names():
    mappings, shown = proposed("device-in-payload")
    assert mappings["sensors/all"]["device"] == "{=device_id}"
    assert series(shown)["node-18/temp"] == (19.8, "Cel", T10 + S)


def test_plain_numbers():
    mappings, shown = proposed("plain-number")
    assert set(mappings) == {f"shellies/{{device}}/sensor/{name}" for name in ("temperature", "humidity", "battery")}
    assert all((one["format"], one["device"]) == ("text", "{device}") for one in mappings.values())
    found = series(shown)
    assert found["shellyht-112233/temperature"] == (21.38, "Cel", None)
    assert found["shellyht-445566/battery"] == (93.0, "%EL", None)


def test_what_can_not_be_mapped_is_said_with_the_reason():
    found = discover(heard("cannot"), "s")
    assert (found.text, found.proposals) == ("", [])
    why = {one.topic: one.why for one in found.unmapped}
    assert set(why) == {one.topic for one in recorded("cannot")} - {"tidemark/v1/site-1/gw-1/packs"} | {"tidemark/v1/#"}
    for topic, part in {
        "spBv1.0/plant/DDATA/edge-1/press": "Sparkplug",
        "tidemark/v1/#": "Tidemark's own",
        "cameras/door/snapshot": "binary",
        "logs/archive": "gzip",
        "home/door/state": "neither JSON nor a number",
        "home/lamp": "without a number",
        "lora/app/device/node-1/up": "base64",
        "waves/scope": "without names",
        "columns/logger": "without names",
        "broken/json": "neither JSON nor a number",
        "cleared/topic": "empty",
    }.items():
        assert part in why[topic], topic


def test_all_families_at_once_make_one_file_in_which_none_disturbs_another():
    names = sorted(path.stem for path in FOLDER.glob("*.jsonl"))
    alone = {}
    for name in names:
        found = discover(heard(name), "home")
        if found.text:
            alone |= series(preview(heard(name), parse_mappings(found.text)))
    mappings, together = proposed(*names)
    assert series(together) == alone
    # Shelly's {device}/status/{component} and {device}/events/rpc cross most of the others.
    assert {"tele/{device}/SENSOR", "{device}/status/{component}", "lab/{device}/senml"} <= set(mappings)


def test_the_order_in_which_messages_were_heard_decides_nothing():
    names = sorted(path.stem for path in FOLDER.glob("*.jsonl"))
    messages = [one for name in names for one in recorded(name)]
    texts = set()
    for seed in range(5):
        random.Random(seed).shuffle(messages)
        made = Heard()
        for one in messages:
            made.add(one.topic, one.payload, NOW_MS, one.retained)
        texts.add(discover(made, "s").text)
    assert len(texts) == 1


def listen(*messages):
    made = Heard()
    for topic, payload in messages:
        made.add(topic, payload.encode(), NOW_MS)
    return made


@pytest.mark.parametrize(
    ("time", "form"),
    [
        ("1709645410", "epoch_s"),
        ("1709645410123", "epoch_ms"),
        ("1709645410123456", "epoch_us"),
        ("1709645410123456789", "epoch_ns"),
        ('"1709645410"', "epoch_s"),
        ('"2024-03-05T13:30:10Z"', "iso8601"),
    ],
)
def test_the_form_of_a_time_is_told_by_its_size(time, form):
    made = listen(("a/b", f'{{"ts": {time}, "x": 1}}'))
    found = discover(made, "s")
    assert yaml.safe_load(found.text)["mappings"][0]["time"] == {"at": "ts", "form": form}
    (reading,) = preview(made, parse_mappings(found.text)).readings
    assert reading.time_ms // S == T10 // S


@pytest.mark.parametrize("times", [["21", "22"], ["1709645410", "0"], ['"soon"', '"later"'], ["1709645410", "null"]])
def test_what_is_not_a_time_in_every_message_is_none(times):
    made = listen(*(("a/b", f'{{"time": {time}, "x": 1}}') for time in times))
    found = discover(made, "s")
    assert "time" not in yaml.safe_load(found.text)["mappings"][0]
    assert "counts at its receipt" in found.text


def test_a_clock_that_is_far_off_is_told():
    assert "days behind: is the clock right?" in discover(listen(("a/b", '{"ts": 1600000000, "x": 1}')), "s").text
    text = discover(listen(("a/b", '{"ts": "2024-03-01T01:02:03", "x": 1}')), "s").text
    assert "UTC is a guess" in text


def test_a_topic_that_a_template_would_catch_and_no_mapping_can_read_is_ignored():
    made = listen(("home/k", '{"t": 1, "h": 2}'), ("home/b", '{"t": 2, "h": 2}'), ("home/status", "online"))
    document = yaml.safe_load(discover(made, "s").text)
    assert (document["ignore"], document["mappings"][0]["topic"]) == (["home/status"], "home/{device}")


def test_templates_that_fit_the_same_topics_are_written_out():
    made = listen(
        ("h/a", '{"t": 1}'), ("h/b", '{"t": 2}'), ("h/c", '[{"v": 1, "n": "x"}]'), ("h/d", '[{"v": 1, "n": "x"}]')
    )
    found = discover(made, "s")
    assert [one.mapping["topic"] for one in found.proposals] == ["h/a", "h/b", "h/c", "h/d"]
    assert {one.device for one in preview(made, parse_mappings(found.text)).readings} == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    "topic", ["x", "{a}/b", "", "/", "a//b", "tidemark/v2/x", "data", "é/ü", "a b/c d", "tidemark"]
)
def test_odd_topics_are_mapped_or_said_to_be_odd(topic):
    made = listen((topic, '{"temperature": 21.5}'))
    found = discover(made, "s")
    if found.text:
        assert [one.value for one in preview(made, parse_mappings(found.text)).readings] == [21.5]
    else:
        assert [one.topic for one in found.unmapped] == [topic]


def test_only_the_newest_messages_of_a_topic_are_kept(monkeypatch):
    monkeypatch.setattr("connectors.mapping.discover.heard.MAX_TOPICS", 2)
    made = Heard()
    for number in range(MAX_MESSAGES + 5):
        made.add("a", str(number).encode(), NOW_MS)
    made.add("b", b"1", NOW_MS)
    made.add("c", b"1", NOW_MS)
    first, _ = made.topics()
    assert (first.count, len(first.messages), first.messages[0].payload) == (MAX_MESSAGES + 5, MAX_MESSAGES, b"5")
    assert (made.messages, made.topics_left_out) == (MAX_MESSAGES + 7, 1)
