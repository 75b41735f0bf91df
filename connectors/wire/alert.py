"""Alert events: what the job and the services append to `tidemark.alert-events.v1`.

CloudEvents 1.0, Kafka binary mode: the attributes are record headers (`ce_*`), the body is JSON.
"""

from hashlib import sha256
from typing import ClassVar, Literal

import msgspec

Transition = Literal["raised", "escalated", "deescalated", "cleared"]
Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")

SPEC_VERSION = "1.0"
TYPE_PREFIX = "dev.tidemark.alert."
CONTENT_TYPE = "application/json"


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One transition of one alert.

    Attributes
    ----------
    alert_id, event_id
        `alert_id(…)` and `event_id(…)` below; deterministic, so a replay repeats them.
    severity
        After the transition; of a cleared alert, the last it had.
    gateway, device, quantity
        Where. A `gateway-silent` alert has no device and quantity; a system alert has none of the three.
    rule_id, rule_version, rule_hash, detector
        By which rule. Version and hash are evidence, not identity.
    raised_ms
        Start of the window that raised the alert, event time.
    window_start_ms, window_end_ms
        The window of this transition, event time, `[start, end)`.
    score, limit
        The detector's score in that window and the limit it crossed, in the detector's unit; None where it has none.
    value
        Mean of the series in that window, in its unit; None for a window without readings.
    shard, first_offset, last_offset
        Where in `tidemark.readings.v1` the window's records lie; -1 for a system alert.
    detail
        One sentence for people.
    """

    VERSION: ClassVar[int] = 1
    v: int = 1
    event_id: str
    alert_id: str
    transition: Transition
    severity: Severity
    site: str = ""
    gateway: str = ""
    device: str = ""
    quantity: str = ""
    unit: str = ""
    rule_id: str
    rule_version: int = 1
    rule_hash: str = ""
    detector: str
    raised_ms: int
    window_start_ms: int
    window_end_ms: int
    score: float | None = None
    limit: float | None = None
    value: float | None = None
    shard: int = -1
    first_offset: int = -1
    last_offset: int = -1
    detail: str = ""


def _digest(*parts: str) -> str:
    return sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def alert_id(gateway: str, device: str, quantity: str, rule_id: str, raised_ms: int) -> str:
    """Return the alert's id, a hash of where, by which rule, and the start of the window that raised it.

    >>> alert_id("gw-1", "press-3", "temperature", "drift", 1_700_000_000_000)[:8]
    'cd4403f9'
    """
    return _digest("alert", gateway, device, quantity, rule_id, str(raised_ms))


def event_id(alert: str, transition: str, window_end_ms: int) -> str:
    """Return the event's id, a hash of alert, transition and the end of the window."""
    return _digest("event", alert, transition, str(window_end_ms))


def headers(event: AlertEvent, source: str, time_rfc3339: str) -> list[tuple[str, bytes]]:
    """Return the CloudEvents attributes as Kafka headers.

    `ce_time` is the window's end in event time, so that a replay writes the same headers.
    """
    subject = "/".join(part for part in (event.site, event.gateway, event.device, event.quantity) if part)
    attributes = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": event.event_id,
        "ce_type": f"{TYPE_PREFIX}{event.transition}.v{event.VERSION}",
        "ce_source": source,
        "ce_subject": subject or "tidemark",
        "ce_time": time_rfc3339,
        "content-type": CONTENT_TYPE,
    }
    return [(name, value.encode()) for name, value in attributes.items()]
