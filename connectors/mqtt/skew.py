"""Gateways' clocks: the greatest (sent - received) over a minute, and an alert when it is beyond the limit.

The greatest, because delay on the way only ever makes it smaller: a reading that was quick shows the clock as it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec

from connectors.mqtt.messages import Send
from connectors.wire.alert import AlertEvent, alert_id, event_id, headers
from connectors.wire.topics import ALERT_EVENTS

RULE = "clock-skew"
MINUTE_MS = 60_000.0


@dataclass(frozen=True)
class Active:
    """An alert that stands."""

    site: str
    raised_ms: int


class SkewWatch:
    """Each gateway's clock against the bridge's.

    Parameters
    ----------
    limit_ms
        A clock further off than this, ahead or behind, is an alert.
    active
        Gateway → alert that stood when the bridge last stopped, so that it stays the same alert.
    """

    def __init__(self, limit_ms: int, active: dict[str, Active] | None = None) -> None:
        self._limit_ms = limit_ms
        self._active = dict(active or {})
        self._greatest: dict[str, tuple[str, int]] = {}
        self._since_wall_ms: float | None = None
        self._since_ms = 0
        self.last: dict[str, int] = {}

    def note(self, site: str, gateway: str, skew_ms: int) -> None:
        """Note one publish: the gateway's clock at sending less ours at receipt."""
        known = self._greatest.get(gateway)
        if known is None or skew_ms > known[1]:
            self._greatest[gateway] = (site, skew_ms)

    def tick(self, now_ms: int, wall_ms: float) -> list[AlertEvent]:
        """Close the minute if it is over and return the transitions."""
        if self._since_wall_ms is None:
            self._since_wall_ms, self._since_ms = wall_ms, now_ms
        if wall_ms - self._since_wall_ms < MINUTE_MS:
            return []
        start, self._since_wall_ms, self._since_ms = self._since_ms, wall_ms, now_ms
        seen, self._greatest = self._greatest, {}
        self.last = {gateway: skew for gateway, (_, skew) in seen.items()}
        events = (self._judge(site, gateway, skew, start, now_ms) for gateway, (site, skew) in seen.items())
        return [event for event in events if event is not None]

    def _judge(self, site: str, gateway: str, skew_ms: int, start_ms: int, end_ms: int) -> AlertEvent | None:
        off = abs(skew_ms) > self._limit_ms
        if off == (gateway in self._active):
            return None
        if off:
            self._active[gateway] = Active(site, start_ms)
            return self._event("raised", site, gateway, skew_ms, raised_ms=start_ms, window=(start_ms, end_ms))
        raised_ms = self._active.pop(gateway).raised_ms
        return self._event("cleared", site, gateway, skew_ms, raised_ms=raised_ms, window=(start_ms, end_ms))

    def _event(
        self,
        transition: Literal["raised", "cleared"],
        site: str,
        gateway: str,
        skew_ms: int,
        *,
        raised_ms: int,
        window: tuple[int, int],
    ) -> AlertEvent:
        alert = alert_id(gateway, "", "", RULE, raised_ms)
        side = "ahead of" if skew_ms > 0 else "behind"
        return AlertEvent(
            event_id=event_id(alert, transition, window[1]),
            alert_id=alert,
            transition=transition,
            severity="high",
            site=site,
            gateway=gateway,
            rule_id=RULE,
            detector=RULE,
            raised_ms=raised_ms,
            window_start_ms=window[0],
            window_end_ms=window[1],
            score=float(abs(skew_ms)),
            limit=float(self._limit_ms),
            detail=f"The clock of {gateway} is {abs(skew_ms) / 1000:.3f} s {side} the bridge's.",
        )


def alert_record(event: AlertEvent, source: str) -> Send:
    """Return the record that appends an alert event."""
    time = datetime.fromtimestamp(event.window_end_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return Send(
        ALERT_EVENTS,
        msgspec.json.encode(event),
        key=event.alert_id.encode(),
        headers=tuple(headers(event, source, time.replace("+00:00", "Z"))),
    )


def still_active(events: Iterable[AlertEvent]) -> dict[str, Active]:
    """Return the skew alerts that stand after `events`, which are in the order of their alerts."""
    active: dict[str, Active] = {}
    for event in events:
        if event.rule_id != RULE:
            continue
        if event.transition == "cleared":
            active.pop(event.gateway, None)
        else:
            active[event.gateway] = Active(event.site, event.raised_ms)
    return active
