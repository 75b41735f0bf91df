"""Messages of devices that speak a form of their own: parts, identity, acknowledgement, dead letters."""

import struct

import msgspec
import numpy as np

from connectors.mapping.load import parse_mappings
from connectors.mqtt.intake import Intake
from connectors.mqtt.receipts import Written
from connectors.wire.mapped import MAPPED_BOOT, mapped_seq
from connectors.wire.topics import READINGS, SERIES_TABLES
from tests.support.bridge import NOW_MS, Bench, pack

FILE = """
site: home
ignore: [tele/+/STATE]
mappings:
  - name: timed
    topic: tele/{device}/SENSOR
    gateway: tasmota
    device: "{device}"
    time: {at: ts, form: epoch_ms}
    readings:
      - {value: t, quantity: temperature, unit: Cel}
      - {value: h, quantity: humidity, unit: "%RH"}
  - name: state
    topic: tele/{device}/STATE
    gateway: tasmota
    device: "{device}"
    readings: [{value: x, quantity: x}]
  - name: plain
    topic: plc/{gw}/{tag}
    gateway: plc-{gw}
    format: text
    readings: [{value: "@", device: plc, quantity: "{tag}"}]
  - name: rows
    topic: rows
    gateway: rows
    each: "@"
    time: {at: ts, form: epoch_ms}
    readings: [{value: v, device: "{=d}", quantity: q}]
"""
SENSOR = "tele/oven/SENSOR"
GRID = 10_000
CELL = NOW_MS // GRID * GRID


def intake(written=()):
    return Intake(parse_mappings(FILE), written)


def bench(**options):
    return Bench(tables=(), **{"intake": intake()} | options)


def body(**values):
    return msgspec.json.encode(values)


def parts(one):
    one.pass_time()
    return [(record.cell_ms, part) for record in one.records() for part in record.parts]


def identities(one):
    return [(part.gateway, part.boot, part.seq, cell) for cell, part in parts(one)]


def test_each_reading_is_a_pack_of_one_with_its_table():
    one = bench()
    one.take(body(ts=NOW_MS - 1, t=21.5, h=40), SENSOR)
    (record,) = (one.pass_time(), one.records())[1]
    first, second = record.parts
    assert (first.site, first.gateway, first.boot) == ("home", "tasmota", MAPPED_BOOT)
    assert first.seq == mapped_seq("oven", "temperature", NOW_MS - 1, 21.5) != second.seq
    (table,) = record.tables
    assert first.table == second.table == table.id
    assert [series.quantity for series in table.series] == ["temperature", "humidity"]
    assert (record.cell_ms + struct.unpack("<I", first.offsets)[0], first.index) == (NOW_MS - 1, b"")
    assert np.frombuffer(first.values + second.values, "<f8").tolist() == [21.5, 40.0]
    assert [struct.unpack("<I", part.series)[0] for part in record.parts] == [0, 1]


def test_a_table_goes_to_its_topic_once():
    one = bench()
    for shift in range(3):
        one.take(body(ts=NOW_MS - shift, t=1), SENSOR)
    assert [send.key for send in one.sends if send.topic == SERIES_TABLES] == [
        one.core.tables.get(parts(one)[0][1].table).id.encode()
    ]


def test_the_broker_is_told_only_after_kafka_has_readings_and_table():
    one = bench()
    mid = one.take(body(ts=NOW_MS, t=1), SENSOR)
    one.pass_time()
    one.deliver(READINGS)
    assert one.pubacks == []
    one.deliver(SERIES_TABLES)
    assert one.pubacks == [mid]
    assert one.acks() == []


def test_the_same_reading_has_the_same_identity_whatever_brings_it():
    one, other = bench(), bench()
    one.take(body(ts=NOW_MS, t=1, h=2), SENSOR)
    other.pass_time(3_000)
    other.take(body(ts=NOW_MS, h=2), SENSOR)
    other.take(body(h=3, t=1, ts=NOW_MS), SENSOR)
    assert identities(one)[1] == identities(other)[0]
    assert identities(one)[0] == identities(other)[1]
    assert len(set(identities(one) + identities(other))) == 3


def test_a_redelivery_while_kafka_is_away_waits_with_the_first():
    one = bench()
    mid = one.take(body(ts=NOW_MS, t=1), SENSOR)
    one.connect()
    one.take(body(ts=NOW_MS, t=1), SENSOR, mid=mid, dup=True)
    one.pass_time()
    assert one.core.tally.redelivered == 1
    assert len(parts(one)) == 1
    one.deliver()
    assert one.pubacks == [mid]


def test_a_message_without_a_time_keeps_its_first_stamp_when_it_comes_again():
    one = bench()
    mid = one.take(b"21.5", "plc/1/level")
    one.pass_time(15_000)
    first = identities(one)
    one.deliver()  # Its acknowledgement is lost with the connection.
    one.connect()
    one.take(b"21.5", "plc/1/level", mid=mid, dup=True)
    assert identities(one) == first


def test_after_a_restart_the_first_stamp_is_found_among_what_was_written():
    one = bench()
    mid = one.take(b"21.5", "plc/1/level")
    _, part = parts(one)[0]
    written = [Written("plc-1", 7, NOW_MS - 9), Written(part.gateway, part.seq, part.received_ms)]
    again = bench(intake=intake(written))
    again.pass_time(45_000)
    again.take(b"21.5", "plc/1/level", mid=mid, dup=True)
    assert identities(again) == identities(one)
    again.take(b"21.5", "plc/1/level", mid=mid + 1, dup=True)
    assert len(set(identities(again))) == 2, "another packet is another message"


def test_a_burst_of_equal_values_without_a_time_is_not_one_reading():
    one = bench()
    for mid in (1, 2, 3):
        one.take(b"21.5", "plc/1/level", mid=mid)
    for _ in range(3):
        one.take(b"21.5", "plc/1/level", mid=0, qos=0)
    assert len(set(identities(one))) == 6


def test_a_new_message_that_has_an_old_packet_id_is_new():
    one = bench()
    one.take(b"21.5", "plc/1/level", mid=5)
    one.connect()
    one.pass_time(1_000)
    one.take(b"21.5", "plc/1/level", mid=5)
    assert len(set(identities(one))) == 2


def test_what_is_not_of_the_mappings_form_is_a_dead_letter_with_its_bytes():
    one = bench()
    mid = one.take(b'{"ts": 1', SENSOR)
    (letter,) = one.letters()
    assert (letter.reason, letter.payload, letter.source, letter.gateway) == (
        "malformed",
        b'{"ts": 1',
        SENSOR,
        "tasmota",
    )
    assert "mapping timed" in letter.detail
    one.deliver()
    assert one.pubacks == [mid]


def test_a_bad_reading_is_dead_alone_and_its_neighbours_pass():
    one = bench()
    payload = body(ts=NOW_MS, t="broken", h=40)
    one.take(payload, SENSOR)
    (letter,) = one.letters()
    assert (letter.reason, letter.indexes, letter.readings, letter.payload) == ("bad-value", [0], 1, payload)
    assert len(parts(one)) == 1


def test_impossible_times_are_dead_alone_by_the_bridges_rule():
    one = bench()
    rows = [{"d": "a", "v": 1, "ts": ts} for ts in (NOW_MS, NOW_MS + 300_001, 5, NOW_MS + 300_000, NOW_MS + 10**9)]
    one.take(msgspec.json.encode(rows), "rows")
    assert {(letter.reason, tuple(letter.indexes)) for letter in one.letters()} == {
        ("future-time", (1, 4)),
        ("bad-time", (2,)),
    }
    assert len(parts(one)) == 2
    assert one.core.tally.dead == {"future-time": 2, "bad-time": 1}


def test_ignored_topics_and_cleared_retained_messages_leave_no_trace_but_a_count():
    one = bench()
    mids = [one.take(b"anything", "tele/oven/STATE"), one.take(b"", SENSOR)]
    one.pass_time()
    assert one.sends == [] and one.pubacks == mids
    assert one.core.tally.messages["ignored"] == 2


def test_a_topic_that_no_mapping_takes_is_a_dead_letter():
    one = bench()
    one.take(b"1", "elsewhere/x")
    assert [(letter.reason, letter.detail) for letter in one.letters()] == [
        ("unknown-topic", "no mapping takes elsewhere/x")
    ]


def test_packs_and_mapped_messages_are_acknowledged_in_one_order():
    one = bench()
    mids = [one.take(body(ts=NOW_MS, t=1), SENSOR), one.take_pack(pack(table="0" * 16)), one.take(b"1", "plc/1/a")]
    one.pass_time()
    one.deliver()
    assert one.pubacks == mids[:1], "the pack waits for its table, and what came after it waits for the pack"
    one.pass_time(6_000)
    one.deliver()
    assert one.pubacks == mids


def test_a_large_payload_is_refused_before_it_is_read():
    one = bench()
    one.take(b" " * 70_000 + b"1", "plc/1/a")
    assert [letter.reason for letter in one.letters()] == ["too-large"]


def test_a_topic_whose_gateway_is_no_name_is_refused():
    one = bench()
    one.take(b"1", "plc/" + "g" * 200 + "/a")
    assert [(letter.reason, letter.gateway) for letter in one.letters()] == [("malformed", "")]


def test_names_without_end_fill_no_memory(monkeypatch):
    monkeypatch.setattr("connectors.mqtt.intake.MAX_TABLES", 2)
    one = bench()
    rows = [{"d": f"device-{at}", "v": 1, "ts": NOW_MS} for at in range(4)]
    one.take(msgspec.json.encode(rows), "rows")
    (letter,) = one.letters()
    assert (letter.reason, letter.indexes) == ("unknown-series", [2, 3])
    assert len(parts(one)) == 2
    assert len([send for send in one.sends if send.topic == SERIES_TABLES]) == 2


def test_the_oldest_mapped_message_holds_back_the_age_gauge():
    one = bench()
    one.take(body(ts=NOW_MS, t=1), SENSOR)
    one.pass_time(1_000)
    assert one.core.oldest_ms() == NOW_MS
    one.deliver()
    assert one.core.oldest_ms() is None
