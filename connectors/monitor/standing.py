"""System alerts that stand: findings become transitions, one active alert a rule. Pure."""

from collections.abc import Iterable, Sequence
from typing import Literal

from connectors.monitor.conditions import Finding
from connectors.wire.alert import AlertEvent, Severity, alert_id, event_id

SEVERITY: dict[str, Severity] = {
    "bridge-silent": "critical",
    "job-down": "critical",
    "windows-stalled": "high",
    "late-dropped": "high",
    "job-restarted": "medium",
}


class Standing:
    """The alerts that stand.

    Parameters
    ----------
    past
        Alert events in the order of their log, so that an alert from before a restart stays the same alert.
    """

    def __init__(self, past: Iterable[AlertEvent] = ()) -> None:
        self._active: dict[str, AlertEvent] = {}
        for event in past:
            if event.detector != "monitor":
                continue
            if event.transition == "cleared":
                self._active.pop(event.rule_id, None)
            else:
                self._active[event.rule_id] = event

    def update(self, findings: Sequence[Finding], wall_ms: int) -> list[AlertEvent]:
        """Return the transitions that `findings`, all that is wrong now, make."""
        found = {finding.rule_id: finding for finding in findings}
        raised = [_event("raised", one, wall_ms, wall_ms) for name, one in found.items() if name not in self._active]
        gone = [event for name, event in self._active.items() if name not in found]
        cleared = [_cleared(event, wall_ms) for event in gone]
        for event in raised:
            self._active[event.rule_id] = event
        for event in gone:
            del self._active[event.rule_id]
        return raised + cleared


def _event(transition: Literal["raised", "cleared"], finding: Finding, raised_ms: int, wall_ms: int) -> AlertEvent:
    alert = alert_id("", "", "", finding.rule_id, raised_ms)
    return AlertEvent(
        event_id=event_id(alert, transition, wall_ms),
        alert_id=alert,
        transition=transition,
        severity=SEVERITY[finding.rule_id],
        rule_id=finding.rule_id,
        detector="monitor",
        raised_ms=raised_ms,
        window_start_ms=wall_ms,
        window_end_ms=wall_ms,
        score=finding.score,
        limit=finding.limit,
        detail=finding.detail,
    )


def _cleared(event: AlertEvent, wall_ms: int) -> AlertEvent:
    return AlertEvent(
        event_id=event_id(event.alert_id, "cleared", wall_ms),
        alert_id=event.alert_id,
        transition="cleared",
        severity=event.severity,
        rule_id=event.rule_id,
        detector="monitor",
        raised_ms=event.raised_ms,
        window_start_ms=wall_ms,
        window_end_ms=wall_ms,
        detail="It is over.",
    )
