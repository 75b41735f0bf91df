"""The state of every alert, as a fold of its events.

An alert's state is what its latest event says, by event time. So it doesn't matter in which order a log gives the
events of different alerts, and an event that comes twice changes nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from connectors.wire.alert import AlertEvent, Severity, Transition

_RANK: dict[Transition, int] = {"raised": 0, "escalated": 1, "deescalated": 1, "cleared": 2}
"""Which of two events of one window is the later: an alert is raised before it is anything else, and cleared last."""


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """One alert.

    Attributes
    ----------
    state
        `active` until cleared.
    severity
        Now, or the last it had.
    peak
        The highest it ever had.
    since_ms
        Start of the window that raised it, event time.
    changed_ms
        End of the window of the latest transition, event time.
    latest
        The event that says so.
    seen
        Ids of all its events.
    """

    state: Literal["active", "cleared"]
    severity: Severity
    peak: Severity
    since_ms: int
    changed_ms: int
    latest: AlertEvent
    seen: frozenset[str]


Alarms = dict[str, Alarm]
"""Alert id → alert."""

_ORDER: dict[Severity, int] = {"low": 0, "medium": 1, "high": 2, "critical": 3}


def apply(alarm: Alarm | None, event: AlertEvent) -> Alarm:
    """Return the alert after `event`; the same object if the event is a repetition."""
    if alarm is not None and event.event_id in alarm.seen:
        return alarm
    latest = event if alarm is None else max(alarm.latest, event, key=_place)
    peak = event.severity if alarm is None else max(alarm.peak, event.severity, key=_ORDER.__getitem__)
    seen = frozenset([event.event_id]) if alarm is None else alarm.seen | {event.event_id}
    return Alarm(
        state="cleared" if latest.transition == "cleared" else "active",
        severity=latest.severity,
        peak=peak,
        since_ms=latest.raised_ms,
        changed_ms=latest.window_end_ms,
        latest=latest,
        seen=seen,
    )


def fold(events: Iterable[AlertEvent], alarms: Mapping[str, Alarm] | None = None) -> Alarms:
    """Return all alerts after `events`, starting from `alarms`, which is not changed."""
    after: Alarms = dict(alarms or {})
    for event in events:
        after[event.alert_id] = apply(after.get(event.alert_id), event)
    return after


def active(alarms: Mapping[str, Alarm]) -> list[Alarm]:
    """Return the active alerts, the most severe first, then the oldest."""
    open_ones = [alarm for alarm in alarms.values() if alarm.state == "active"]
    return sorted(open_ones, key=lambda alarm: (-_ORDER[alarm.severity], alarm.since_ms, alarm.latest.alert_id))


def _place(event: AlertEvent) -> tuple[int, int, str]:
    """Where an event stands among those of its alert; the id decides between events that can't be told apart."""
    return event.window_end_ms, _RANK[event.transition], event.event_id
