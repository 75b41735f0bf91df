"""What a subscriber is sent."""

import json

import msgspec

from connectors.notifier.message import DETAIL_LENGTH, message, message_id, text, title
from connectors.wire.alert import AlertEvent
from tests.support.samples import SAMPLES

EVENT = msgspec.structs.replace(
    SAMPLES[AlertEvent], severity="high", gateway="gw-7", device="press-3", quantity="temperature", rule_id="drift"
)


def test_the_body_is_a_cloudevent_with_the_whole_event() -> None:
    body = json.loads(message(EVENT, "one", "tidemark/detect").body)
    assert body["specversion"] == "1.0"
    assert body["id"] == EVENT.event_id
    assert body["type"] == f"dev.tidemark.alert.{EVENT.transition}.v1"
    assert body["source"] == "tidemark/detect"
    assert body["subject"].endswith("gw-7/press-3/temperature")
    assert body["time"].endswith("Z")
    assert msgspec.convert(body["data"], AlertEvent) == EVENT


def test_the_same_event_is_the_same_message() -> None:
    assert message(EVENT, "one", "s") == message(EVENT, "one", "s")
    assert message_id("one", "e") != message_id("two", "e")
    # Joined by a character that no name holds, so that parts can't be shifted.
    assert message_id("a", "be") != message_id("ab", "e")


def test_no_name_forges_a_header_or_a_line() -> None:
    hostile = msgspec.structs.replace(
        EVENT, device="press\r\nBcc: all@example.org", quantity="t\u2028Severity: low", detail="a\nRule: none"
    )
    assert not any(mark in title(hostile) for mark in "\r\n\u2028")
    assert len(text(hostile).splitlines()) == len(text(EVENT).splitlines())


def test_a_body_stays_under_the_size_of_standard_webhooks() -> None:
    long = msgspec.structs.replace(
        EVENT, detail="é" * 100_000, device="d" * 200, quantity="q" * 200, gateway="g" * 200, site="s" * 200
    )
    body = message(long, "one", "s").body
    assert len(body) < 20_000
    assert len(json.loads(body)["data"]["detail"]) == DETAIL_LENGTH


def test_a_system_alert_has_words_too() -> None:
    event = msgspec.structs.replace(EVENT, site="", gateway="", device="", quantity="", score=None, value=None)
    assert title(event) == f"[high] drift {event.transition}: Tidemark itself"
    assert "Where" not in text(event)
    assert json.loads(message(event, "one", "s").body)["subject"] == "tidemark"


def test_times_that_no_calendar_holds_are_no_crash() -> None:
    event = msgspec.structs.replace(EVENT, window_end_ms=2**62, raised_ms=-(2**62))
    assert json.loads(message(event, "one", "s").body)["time"] == f"{2**62} ms"
