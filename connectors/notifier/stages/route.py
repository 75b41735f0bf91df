"""The first stage: which subscriptions an event concerns."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from connectors.notifier.stages import History, Notification
from connectors.notifier.subscriptions import Match, Subscription
from connectors.wire.alert import SEVERITIES, AlertEvent


def route(event: AlertEvent, subscriptions: Sequence[Subscription], history: History) -> list[Notification]:
    """Return a notification for each subscription that wants the event.

    Who was told that an alert is bad is told that it is better or over, also if its severity has sunk below what they
    asked for: nobody is left with an alarm that has ended.
    """
    return [
        Notification(subscription.name, event)
        for subscription in subscriptions
        if wants(subscription.match, event)
        or (
            _is_relief(event)
            and wants(subscription.match, event, any_severity=True)
            and history.was_told(subscription.name, event.alert_id)
        )
    ]


def wants(match: Match, event: AlertEvent, *, any_severity: bool = False) -> bool:
    """Whether an event is one that `match` describes."""
    return (
        event.transition in match.transitions
        and (any_severity or SEVERITIES.index(event.severity) >= SEVERITIES.index(match.min_severity))
        and fnmatchcase(event.site, match.site)
        and fnmatchcase(event.gateway, match.gateway)
        and fnmatchcase(event.device, match.device)
        and fnmatchcase(event.quantity, match.quantity)
        and fnmatchcase(event.rule_id, match.rule)
    )


def _is_relief(event: AlertEvent) -> bool:
    return event.transition in ("deescalated", "cleared")
