"""How a notification leaves: one channel a file, all with the same few outcomes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from connectors.notifier.message import Message


class Reason(StrEnum):
    """Why an attempt failed: a closed set, and a metric's label."""

    UNREACHABLE = "unreachable"  # no connection, or it broke: it may or may not have arrived
    TIMEOUT = "timeout"  # no answer in time: the same
    THROTTLED = "throttled"  # 429
    SERVER = "server"  # 5xx
    REDIRECT = "redirect"  # 3xx: never followed, a signed body goes where the operator said and nowhere else
    CLIENT = "client"  # 4xx: an operator may mend it, so it is tried again
    GONE = "gone"  # 410: the receiver wants no more
    REFUSED = "refused"  # for good: SMTP 5xx, 413, an invalid topic
    FAILED = "failed"  # the channel doesn't say why
    INTERRUPTED = "interrupted"  # the service stopped or died during the attempt

    @property
    def is_final(self) -> bool:
        """Whether trying this notification again is of no use."""
        return self in (Reason.GONE, Reason.REFUSED)


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended; `reason` None is success."""

    reason: Reason | None = None
    detail: str = ""
    retry_after_s: float = 0.0


DELIVERED = Outcome()


class Channel(Protocol):
    """Sends one notification at a time, from one thread."""

    def send(self, message: Message) -> Outcome:
        """Send, within the channel's time limit. Never raises for what a receiver or a network does."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
