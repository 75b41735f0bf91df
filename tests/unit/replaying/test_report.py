"""What a replay says at its end."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from connectors.kit.settings import Settings
from connectors.wire.alert import AlertEvent
from deploy.books.accounts import Violation
from deploy.books.close import Books
from deploy.replaying.plan import ReplayPlan
from deploy.replaying.report import MOST_SHOWN, as_report, as_text
from deploy.replaying.run import Replayed

PLAN = ReplayPlan(1_386_018_900_000, 1_386_918_900_000, 900_000, 9_000.0)
BOOKS = Books(
    sent=3000,
    received=3000,
    judged=3000,
    late=0,
    not_judged=0,
    dead=0,
    dead_unidentified=0,
    duplicates=0,
    in_outboxes=0,
    lost=0,
    heartbeats=0,
    alert_events=0,
    alert_duplicates=0,
    influx_alerts=0,
    webhook_alerts=None,
    ids_equal=True,
    violations=(),
)


def event(number: int, transition: str = "raised", **more: Any) -> AlertEvent:
    start_ms = PLAN.start_ms + number * PLAN.window_ms
    known: dict[str, Any] = {"device": "press-3", "quantity": "temperature", "severity": "high", "rule_id": "drift"}
    return msgspec.convert(
        {
            "event_id": f"{number}-{transition}",
            "alert_id": str(number),
            "transition": transition,
            "gateway": "own",
            "detector": "drift",
            "raised_ms": start_ms,
            "window_start_ms": start_ms,
            "window_end_ms": start_ms + PLAN.window_ms * (8 if transition == "cleared" else 1),
            **known,
            **more,
        },
        AlertEvent,
    )


def report(*events: AlertEvent, books: Books | None = BOOKS) -> dict[str, Any]:
    stack = SimpleNamespace(settings=Settings(), settings_file=Path("var/own-data/settings.toml"))
    return as_report(PLAN, Replayed(cast("Any", stack), {}, 0, books, events))


def test_an_alert_is_told_from_raised_to_cleared() -> None:
    found = report(event(3), event(3, "cleared"), event(9, device="", quantity="", rule_id="gateway-silent"))
    assert [(one["rule"], one["raised_ms"], one["cleared_ms"]) for one in found["alerts"]] == [
        ("drift", PLAN.start_ms + 2_700_000, PLAN.start_ms + 9_900_000),
        ("gateway-silent", PLAN.start_ms + 8_100_000, None),
    ]
    text = as_text(found, Path("var/own-data"))
    assert "3,000 readings sent, 3,000 judged in 1,000 windows of 900 s, 0 late, 0 dead, 0 lost" in text
    assert "2013-12-02 22:00 until 2013-12-03 00:00 high      drift          press-3/temperature" in text
    assert "to the end" in text
    assert "gateway-silent the gateway" in text
    assert "tidemark down --data var/own-data" in text


def test_none_and_many() -> None:
    assert "0 alerts; the rules saw nothing unusual" in as_text(report(), Path("x"))
    text = as_text(report(*(event(number) for number in range(MOST_SHOWN + 7))), Path("x"))
    assert text.count(" drift ") == MOST_SHOWN
    assert "and 7 more" in text


def test_what_must_never_be_is_shown() -> None:
    books = replace(BOOKS, lost=4, violations=(Violation("lost", 4, "readings of own"),))
    assert "WRONG: lost: 4, readings of own" in as_text(report(books=books), Path("x"))


def test_a_replay_that_was_stopped_has_no_report() -> None:
    with pytest.raises(ValueError, match="no books"):
        report(books=None)
