"""What happens to a notification between the event and the outbox: one stage a file, each a plain function of values.

A stage is given the notifications of one event and returns them all; one that is not to be sent gets a reason
(`Notification.suppressed`), which the outbox keeps. `route` begins; inhibit, silence, group and throttle have their
place between it and the outbox; `deliver` works from the outbox on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from connectors.wire.alert import AlertEvent


@dataclass(frozen=True)
class Notification:
    """An event for a subscription.

    Attributes
    ----------
    suppressed
        Why it is not sent; empty if it is.
    """

    subscription: str
    event: AlertEvent
    suppressed: str = ""


class History(Protocol):
    """What the stages may ask of the past; it is answered inside the outbox's transaction."""

    def was_told(self, subscription: str, alert_id: str) -> bool:
        """Whether a subscription was sent, or is going to be sent, anything of an alert."""
        ...


Stage = Callable[[Sequence[Notification], History], Sequence[Notification]]


def run_stages(
    stages: Sequence[Stage], notifications: Sequence[Notification], history: History
) -> Sequence[Notification]:
    """Pass notifications through the stages, in order."""
    for stage in stages:
        notifications = stage(notifications, history)
    return notifications
