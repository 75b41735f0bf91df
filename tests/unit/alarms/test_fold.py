"""Alerts as a fold: repetitions change nothing, and neither does the order between alerts, nor within one."""

from itertools import permutations

from connectors.alarms.fold import active, apply, fold
from connectors.wire.alert import AlertEvent, Severity, Transition, alert_id, event_id


def event(transition: Transition, severity: Severity, window: int, rule: str = "hot", raised: int = 1) -> AlertEvent:
    alert = alert_id("g", "d", "q", rule, raised)
    return AlertEvent(
        event_id=event_id(alert, transition, window),
        alert_id=alert,
        transition=transition,
        severity=severity,
        gateway="g",
        device="d",
        quantity="q",
        rule_id=rule,
        detector="limits",
        raised_ms=raised,
        window_start_ms=window - 1,
        window_end_ms=window,
    )


LIFE = [
    event("raised", "medium", 2),
    event("escalated", "critical", 3),
    event("deescalated", "low", 4),
    event("cleared", "low", 5),
]


def test_an_alert_is_active_until_cleared() -> None:
    states = [next(iter(fold(LIFE[:n]).values())) for n in range(1, 5)]
    assert [(one.state, one.severity, one.peak) for one in states] == [
        ("active", "medium", "medium"),
        ("active", "critical", "critical"),
        ("active", "low", "critical"),
        ("cleared", "low", "critical"),
    ]
    assert {one.since_ms for one in states} == {1}
    assert [one.changed_ms for one in states] == [2, 3, 4, 5]


def test_a_repeated_event_changes_nothing() -> None:
    once = fold(LIFE)
    assert fold([*LIFE, *LIFE[:2]]) == once
    alarm = next(iter(once.values()))
    assert apply(alarm, LIFE[0]) is alarm


def test_any_order_gives_the_same_state() -> None:
    expected = fold(LIFE)
    assert all(fold(order) == expected for order in permutations(LIFE))


def test_raised_and_cleared_in_one_window_is_cleared() -> None:
    both = [event("cleared", "low", 2), event("raised", "low", 2)]
    assert next(iter(fold(both).values())).state == "cleared"


def test_a_fold_goes_on_where_it_was_and_leaves_its_input_alone() -> None:
    before = fold(LIFE[:2])
    kept = dict(before)
    assert fold(LIFE[2:], before) == fold(LIFE)
    assert before == kept


def test_active_alerts_come_by_severity_then_age() -> None:
    events = [
        event("raised", "low", 9, "a", raised=1),
        event("raised", "critical", 9, "b", raised=5),
        event("raised", "critical", 9, "c", raised=3),
        *LIFE,
    ]
    assert [one.latest.rule_id for one in active(fold(events))] == ["c", "b", "a"]
