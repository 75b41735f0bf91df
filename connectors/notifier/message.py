"""What a subscriber is sent: the alert event as CloudEvents JSON, and as a title and text for people."""

import re
from datetime import UTC, datetime
from hashlib import sha256

import msgspec

from connectors.wire.alert import CONTENT_TYPE, SPEC_VERSION, TYPE_PREFIX, AlertEvent

DETAIL_LENGTH = 2_000
"""Standard Webhooks wants bodies under 20 KB; the detail is the one part that may be long."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One notification, ready to be sent; the same bytes at every attempt.

    Attributes
    ----------
    id
        The same for the same event and subscription, also after a crash: receivers drop repeats by it.
    body
        CloudEvents 1.0, structured mode, JSON.
    title, text
        For people.
    """

    id: str
    event_id: str
    body: bytes
    title: str
    text: str


def message_id(subscription: str, event_id: str) -> str:
    """Return the id of an event's notification to a subscription.

    >>> message_id("operations", "e-1")
    'msg_69d82494e37bb168f20ef49073c9723b'
    """
    return "msg_" + sha256(f"{subscription}\x1f{event_id}".encode()).hexdigest()[:32]


def rfc3339(time_ms: int) -> str:
    """Return a time as text; one that no calendar holds as plain milliseconds.

    >>> rfc3339(1_700_000_000_123), rfc3339(2**60)
    ('2023-11-14T22:13:20.123Z', '1152921504606846976 ms')
    """
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"


def one_line(text: str) -> str:
    r"""Return text without control characters: a name must not forge a header or a line.

    >>> one_line("press\r\nBcc: all@example.org")
    'press Bcc: all@example.org'
    """
    return _CONTROL.sub(" ", text).strip()


def message(event: AlertEvent, subscription: str, source: str) -> Message:
    """Return the notification of an event to a subscription."""
    kept = msgspec.structs.replace(event, detail=event.detail[:DETAIL_LENGTH])
    subject = "/".join(part for part in (event.site, event.gateway, event.device, event.quantity) if part)
    body = {
        "specversion": SPEC_VERSION,
        "id": event.event_id,
        "type": f"{TYPE_PREFIX}{event.transition}.v{event.VERSION}",
        "source": source,
        "subject": subject or "tidemark",
        "time": rfc3339(event.window_end_ms),
        "datacontenttype": CONTENT_TYPE,
        "data": kept,
    }
    return Message(
        id=message_id(subscription, event.event_id),
        event_id=event.event_id,
        body=msgspec.json.encode(body),
        title=title(event),
        text=text(kept),
    )


def title(event: AlertEvent) -> str:
    """Return one line that says what happened where."""
    what = f"{event.quantity} of {event.device}" if event.quantity else event.device or "the gateway"
    where = f" ({event.gateway})" if event.gateway else ""
    if not (event.gateway or event.device):
        what = "Tidemark itself"
    return one_line(f"[{event.severity}] {event.rule_id} {event.transition}: {what}{where}")[:200]


def text(event: AlertEvent) -> str:
    """Return a few lines that say what is known."""
    unit = f" {event.unit}" if event.unit else ""
    lines = {
        "": event.detail,
        "Where": " / ".join(part for part in (event.site, event.gateway, event.device, event.quantity) if part),
        "Rule": f"{event.rule_id} (version {event.rule_version}, detector {event.detector})",
        "Severity": event.severity,
        "Window": f"{rfc3339(event.window_start_ms)} to {rfc3339(event.window_end_ms)}",
        "Raised": rfc3339(event.raised_ms),
        "Mean": "" if event.value is None else f"{event.value:.6g}{unit}",
        "Score": "" if event.score is None else f"{event.score:.4g}" + _limit(event.limit),
        "Event": event.event_id,
    }
    return "\n".join(
        f"{name}: {one_line(value)}" if name else one_line(value) for name, value in lines.items() if value
    )


def _limit(limit: float | None) -> str:
    return "" if limit is None else f" (limit {limit:.4g})"
