"""A broker that drops messages of a full queue: it tells nobody but its own statistics, so the bridge reads them.

Nothing is lost by it, because gateways send again what is not acknowledged end to end; but it is never silent.
"""

from typing import Literal

from connectors.wire.alert import AlertEvent, alert_id, event_id

DROPPED_TOPIC = "$SYS/broker/publish/messages/dropped"
RULE = "broker-dropping"
QUIET_MS = 60_000.0
"""The alert is cleared after so long (wall time) without another dropped message."""


class DropWatch:
    """Watches the broker's count of dropped messages."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._raised_ms: int | None = None
        self._rose_ms = 0.0
        self.dropped = 0

    def note(self, payload: bytes, now_ms: int, wall_ms: float) -> AlertEvent | None:
        """Take the broker's count and return the alert that it raises.

        The first count of a connection is where counting starts, and so is a lower one: the broker started anew.
        """
        if not payload.isdigit() or len(payload) > 18:
            return None
        count, last = int(payload), self._last
        self._last = count
        if last is None or count <= last:
            return None
        self.dropped += count - last
        self._rose_ms = wall_ms
        if self._raised_ms is not None:
            return None
        self._raised_ms = now_ms
        return self._event("raised", now_ms, f"The MQTT broker dropped {count - last} messages of a full queue.")

    def tick(self, now_ms: int, wall_ms: float) -> AlertEvent | None:
        """Return the end of the alert once nothing was dropped for a while."""
        if self._raised_ms is None or wall_ms - self._rose_ms < QUIET_MS:
            return None
        event = self._event("cleared", now_ms, "The MQTT broker drops no messages any more.")
        self._raised_ms = None
        return event

    def _event(self, transition: Literal["raised", "cleared"], now_ms: int, detail: str) -> AlertEvent:
        raised_ms = self._raised_ms or now_ms
        alert = alert_id("", "", "", RULE, raised_ms)
        return AlertEvent(
            event_id=event_id(alert, transition, now_ms),
            alert_id=alert,
            transition=transition,
            severity="high",
            rule_id=RULE,
            detector=RULE,
            raised_ms=raised_ms,
            window_start_ms=raised_ms,
            window_end_ms=now_ms,
            detail=detail,
        )
