import msgspec

from connectors.wire.alert import AlertEvent
from connectors.wire.ledger import DeadLetter, LateReadings
from connectors.wire.record import Heartbeat, Part, Readings, encode_record
from connectors.wire.summary import WindowSummary
from connectors.wire.versions import from_json, from_msgpack
from jobs import sql
from jobs.outputs import readings_in, refused, refused_rules, tagged
from jobs.windows.shard import Outcome, Window

PART = Part("site", "gw-1", "boot", 1, 0, "t", b"\0" * 12, b"\0" * 12, b"\0" * 24)
RECORD = encode_record(Readings(cell_ms=0, parts=[PART, PART]))
ALERT = AlertEvent(
    event_id="e", alert_id="a", transition="raised", severity="high", gateway="gw-1", rule_id="r", detector="d",
    raised_ms=0, window_start_ms=0, window_end_ms=10_000,
)  # fmt: skip
COLUMNS = ("series", "count", "first", "last", "minimum", "maximum", "mean", "spread", "score", "learning")
SUMMARY = WindowSummary(
    shard=7, start_ms=0, end_ms=10_000, observed=True, readings=0, duplicates=0, rule_version=1, first_offset=0,
    last_offset=0, groups=[], judged=[], **dict.fromkeys(COLUMNS, b""),
)  # fmt: skip
LATE = LateReadings(shard=7, cell_ms=0, window_end_ms=10_000, offset=3, parts=[PART], readings=3)


def test_an_alert_is_json_with_its_id_as_key_and_cloudevents_headers() -> None:
    ((tag, key, body, headers),) = tagged(Outcome(alerts=[ALERT]))
    assert (tag, key) == (sql.ALERT, b"a")
    assert from_json(AlertEvent, body) == ALERT
    assert headers is not None
    assert headers["ce_id"] == b"e"
    assert headers["ce_time"] == b"1970-01-01T00:00:10.000Z"


def test_the_rest_is_messagepack_keyed_by_where_it_came_from() -> None:
    dead = refused(Window(7, 0, 10_000, [RECORD]), "why", 5).dead
    rows = list(tagged(Outcome(summary=SUMMARY, late=[LATE], dead=dead)))
    assert [(tag, key, headers) for tag, key, _, headers in rows] == [
        (sql.LATE, b"gw-1", None),
        (sql.DEAD, b"", None),
        (sql.SUMMARY, b"7", None),
    ]
    assert from_msgpack(LateReadings, rows[0][2]) == LATE
    assert from_msgpack(DeadLetter, rows[1][2]) == dead[0]
    assert from_msgpack(WindowSummary, rows[2][2]) == SUMMARY


def test_a_window_that_could_not_be_judged_keeps_every_byte_and_counts_its_readings() -> None:
    dead = refused(Window(7, 0, 10_000, [RECORD, b"\xc1"], 4, 9), "KeyError: 'x'", 5).dead
    assert [(one.payload, one.readings, one.reason) for one in dead] == [
        (RECORD, 6, "rejected"),
        (b"\xc1", 0, "rejected"),
    ]
    assert {one.source for one in dead} == {"tidemark.readings.v1/7/4-9"}
    assert dead[0].service == "job"


def test_a_refused_rule_set_keeps_its_bytes() -> None:
    (dead,) = refused_rules("3", b"{", "broken", 5).dead
    assert (dead.source, dead.payload, dead.detail) == ("tidemark.rules.v1/3", b"{", "broken")


def test_heartbeats_and_what_cannot_be_read_hold_no_readings() -> None:
    assert readings_in(encode_record(Heartbeat(time_ms=0, bridge="b"))) == 0
    assert readings_in(b"") == readings_in(msgspec.msgpack.encode([1])) == 0
