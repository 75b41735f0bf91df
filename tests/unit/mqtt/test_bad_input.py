"""What is wrong with a payload or a reading, and that its neighbours pass."""

import msgspec
import numpy as np
import pytest

from connectors.wire.pack import MAX_READINGS
from connectors.wire.series import Series, series_table
from connectors.wire.versions import to_json, to_msgpack
from tests.support.bridge import NOW_MS, PACKS, TABLE, Bench, pack

FUTURE_LIMIT_MS = 300_000
SECONDS, MICROS, NANOS = NOW_MS // 1000, NOW_MS * 1000, NOW_MS * 1_000_000
TEN_YEARS_MS = 315_360_000_000


def raw(**changes):
    body = {"v": 1} | msgspec.to_builtins(pack()) | changes
    return msgspec.json.encode({key: value for key, value in body.items() if value is not ...})


@pytest.mark.parametrize(
    ("offset", "reason"),
    [
        (TEN_YEARS_MS, "future-time"),
        (2 * 3_600_000, "future-time"),
        (FUTURE_LIMIT_MS + 1, "future-time"),
        (-NOW_MS, "bad-time"),
        (-NOW_MS - 1, "bad-time"),
        (SECONDS - NOW_MS, "bad-time"),
        (MICROS - NOW_MS, "future-time"),
        (NANOS - NOW_MS, "future-time"),
        (-(2**63), "bad-time"),
        (2**63, "future-time"),
        (1e300, "future-time"),
        (10**400, "bad-time"),
        (None, "bad-time"),
        (float("nan"), "bad-time"),
        (float("inf"), "bad-time"),
        (float("-inf"), "bad-time"),
        (946_684_799_999 - NOW_MS, "bad-time"),
    ],
)
def test_an_impossible_time_is_dead_alone(offset, reason):
    bench = Bench()
    one = pack(offsets_ms=[0, offset, 2])
    payload = to_json(one) if isinstance(offset, int) else to_msgpack(one)
    bench.take(payload)
    bench.pass_time()
    (letter,) = bench.letters()
    assert (letter.reason, letter.indexes, letter.readings) == (reason, [1], 1)
    assert (letter.gateway, letter.boot, letter.seq, letter.payload) == ("gw", "b", 1, payload)
    assert letter.source == PACKS
    (part,) = bench.records()[0].parts
    assert np.frombuffer(part.index, "<u4").tolist() == [0, 2]


@pytest.mark.parametrize("offset", [0, FUTURE_LIMIT_MS, 946_684_800_000 - NOW_MS, -0.5, 1.5])
def test_a_time_at_the_edge_passes(offset):
    bench = Bench()
    bench.take_pack(pack(offsets_ms=[offset, 0, 0]))
    bench.pass_time()
    assert not bench.letters()
    parts = [(record.cell_ms, part) for record in bench.records() for part in record.parts]
    times = {cell + int(o) for cell, part in parts for o in np.frombuffer(part.offsets, "<u4")}
    assert int(np.floor(NOW_MS + offset)) in times


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"values": [0.0, None, 1.0]}, "bad-value"),
        ({"values": [0.0, float("nan"), 1.0]}, "bad-value"),
        ({"values": [0.0, float("inf"), 1.0]}, "bad-value"),
        ({"series": [0, 2, 1]}, "unknown-series"),
        ({"series": [0, -1, 1]}, "unknown-series"),
        ({"series": [0, 2**63, 1]}, "unknown-series"),
        ({"quality": [0, 3, 1]}, "bad-quality"),
        ({"quality": [0, -1, 1]}, "bad-quality"),
    ],
)
def test_a_bad_reading_is_dead_alone(changes, reason):
    bench = Bench()
    bench.take_pack(pack(**changes))
    bench.pass_time()
    (letter,) = bench.letters()
    assert (letter.reason, letter.indexes) == (reason, [1])
    (part,) = bench.records()[0].parts
    assert np.frombuffer(part.index, "<u4").tolist() == [0, 2]
    assert part.quality == (b"\0\1" if "quality" in changes else b"")


def test_readings_bad_for_several_reasons_count_once_each():
    bench = Bench()
    bench.take_pack(pack(offsets_ms=[0, None, 2, 3], series=[0, 9, 9, 0], values=[1.0, None, None, None]))
    letters = {letter.reason: letter.indexes for letter in bench.letters()}
    assert letters == {"bad-time": [1], "unknown-series": [2], "bad-value": [3]}
    assert sum(bench.core.tally.dead.values()) == 3


def test_a_pack_without_a_good_reading_is_acknowledged_once_its_letter_is_delivered():
    bench = Bench()
    mid = bench.take_pack(pack(values=[None, None, None]))
    bench.pass_time()
    assert not bench.records() and not bench.pubacks
    bench.deliver()
    bench.pass_time(2_000)
    assert bench.pubacks == [mid]
    assert [ack.seq for ack in bench.acks()] == [1]


@pytest.mark.parametrize("base", [10**400, float("nan")])
def test_an_impossible_base_time_kills_every_reading(base):
    bench = Bench()
    one = pack(base_ms=base)
    bench.take(to_json(one) if isinstance(base, int) else to_msgpack(one))
    (letter,) = bench.letters()
    assert (letter.reason, letter.indexes) == ("bad-time", [0, 1, 2])


GARBAGE = {
    "empty": b"",
    "a byte": b"\xff",
    "text": b"hello",
    "bad UTF-8": b'{"v":1,"boot":"\xff\xfe"}',
    "truncated JSON": raw()[:-7],
    "truncated MessagePack": to_msgpack(pack())[:-3],
    "NaN in JSON": raw().replace(b"1.0", b"NaN"),
    "Infinity in JSON": raw().replace(b"1.0", b"Infinity"),
    "deep JSON": b'{"v":1,"x":' + b"[" * 30_000,
    "deep JSON objects": b'{"v":' + b'{"v":' * 5_000,
    "deep MessagePack": b"\x81\xa1x" + b"\x91" * 30_000,
    "an array": b"[1,2,3]",
    "a missing column": raw(values=...),
    "an unknown field": raw(extra=1),
    "a text for a number": raw(values=["1", "2", "3"]),
    "a float for an index": raw(series=[0.5, 0, 0]),
    "true for a time": raw(offsets_ms=[True, 0, 0]),
    "sequence number 0": raw(seq=0),
    "sequence number too large": raw(seq=2**60),
    "a boot that is no name": raw(boot="a/b"),
    "a number too large for a double": raw().replace(b"1.0", b"1e999"),
    "gzip": b"\x1f\x8b\x08\x00" + b"\0" * 100,
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_a_dead_letter_with_its_bytes_and_is_acknowledged_to_the_broker(name):
    bench = Bench()
    mid = bench.take(GARBAGE[name])
    after = bench.take_pack(pack(seq=2))
    (letter,) = bench.letters()
    assert (letter.reason, letter.payload, letter.indexes) == ("malformed", GARBAGE[name], [])
    bench.pass_time()
    bench.deliver()
    assert bench.pubacks == [mid, after]
    assert len(bench.core.tables) == 1


def test_duplicate_keys_mean_the_last():
    bench = Bench()
    bench.take(raw().replace(b'"seq":1', b'"seq":9,"seq":4'))
    bench.pass_time()
    assert bench.records()[0].parts[0].seq == 4


def test_a_malformed_pack_with_an_identity_does_not_block_its_gateway():
    bench = Bench()
    bench.take(raw(extra=1), oldest_seq=1)
    bench.take_pack(pack(seq=2), oldest=1)
    (letter,) = bench.letters()
    assert (letter.boot, letter.seq, letter.readings) == ("b", 1, 3)
    bench.pass_time()
    bench.deliver()
    bench.pass_time(2_000)
    assert [ack.seq for ack in bench.acks()] == [2]


@pytest.mark.parametrize(
    ("payload", "topic", "reason"),
    [
        (raw(v=2), PACKS, "unknown-version"),
        (raw(v=0), PACKS, "unknown-version"),
        (raw(gateway="other"), PACKS, "topic-mismatch"),
        (raw(site="other", gateway="gw"), PACKS, "topic-mismatch"),
        (raw(gateway="gw"), PACKS, "malformed"),
        (raw(), "tidemark/v1/s/gw/unheard", "unknown-topic"),
        (raw(), "tidemark/v1/s/gw/packs/more", "unknown-topic"),
        (raw(), "tidemark/v1/s/gw/series", "unknown-topic"),
        (raw(), "tidemark/v1/s//packs", "unknown-topic"),
        (raw(), "tidemark/v1/s/" + "g" * 201 + "/packs", "unknown-topic"),
        (raw(), "elsewhere", "unknown-topic"),
        (raw(values=[1.0]), PACKS, "columns-differ"),
        (raw(quality=[0]), PACKS, "columns-differ"),
        (raw(values=[], series=[], offsets_ms=[]), PACKS, "columns-differ"),
        (to_msgpack(pack(readings=MAX_READINGS + 1)), PACKS, "too-many-readings"),
        (b"{" + b" " * 70_000 + b"}", PACKS, "too-large"),
        (b"x" * 5_000_000, PACKS, "too-large"),
        (b"junk", "tidemark/v1/s/gw/series/0123456789abcdef", "malformed"),
        (to_json(TABLE), "tidemark/v1/s/gw/series/0123456789abcdef", "bad-table"),
        (b"junk", "tidemark/v1/s/gw/status", "malformed"),
    ],
)
def test_a_payload_dead_as_a_whole_has_the_right_reason(payload, topic, reason):
    bench = Bench(payload_bytes=1_000_000 if reason == "too-many-readings" else 65_536)
    mid = bench.take(payload, topic)
    (letter,) = bench.letters()
    assert letter.reason == reason
    assert payload.startswith(letter.payload) and len(letter.payload) in (len(payload), 65_536)
    assert not bench.core.effects
    bench.deliver()
    assert bench.pubacks == [mid]


def test_a_table_whose_id_is_not_the_hash_of_its_content_is_dead():
    forged = msgspec.structs.replace(TABLE, series=(Series("d", "lies", "Cel"),))
    bench = Bench(tables=())
    bench.take(to_json(forged), f"tidemark/v1/s/gw/series/{TABLE.id}")
    assert [letter.reason for letter in bench.letters()] == ["bad-table"]
    assert len(bench.core.tables) == 0


def test_what_nobody_foresaw_is_a_dead_letter_too(monkeypatch):
    def burst(*_args):
        raise ZeroDivisionError("no reason")

    monkeypatch.setattr("connectors.mqtt.core.check", burst)
    bench = Bench()
    mid = bench.take_pack(pack())
    assert [letter.reason for letter in bench.letters()] == ["malformed"]
    bench.deliver()
    assert bench.pubacks == [mid]


def test_a_released_pack_that_fails_blames_itself_and_not_the_table(monkeypatch):
    bench = Bench(tables=())
    bench.take_pack(pack())
    monkeypatch.setattr("connectors.mqtt.core.split", lambda *_: 1 / 0)
    bench.take(to_json(TABLE), f"tidemark/v1/s/gw/series/{TABLE.id}")
    (letter,) = bench.letters()
    assert (letter.source, letter.seq) == (PACKS, 1)
    bench.deliver()
    assert bench.pubacks == [1, 2]


@pytest.mark.parametrize("value", ["", "abc", "1e5", "9" * 40, "-", "--1", "١٢", "1 "])
def test_a_user_property_that_is_no_number_is_ignored(value):
    bench = Bench()
    bench.take(to_msgpack(pack(seq=5)), sent_ms=value, oldest_seq=value)
    bench.pass_time()
    bench.deliver()
    bench.pass_time(2_000)
    assert [ack.seq for ack in bench.acks()] == [5]


def test_an_unheard_of_many_series():
    table = series_table(tuple(Series(f"d{i}", "t", "Cel") for i in range(500)))
    bench = Bench(tables=(table,))
    bench.take_pack(pack(table=table.id, series=[499, 500, 0]))
    assert [(letter.reason, letter.indexes) for letter in bench.letters()] == [("unknown-series", [1])]
