"""What the terminal shows of a run: numbers that threads write and the view reads."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace

from connectors.wire.alert import AlertEvent


@dataclass(frozen=True)
class Snapshot:
    """The run at one moment. Counts are readings since the start; `at_s` is monotonic wall time.

    Attributes
    ----------
    event_ms
        What the injected clock shows.
    judged_to_ms
        End of the last window that every shard has judged; 0 before the first.
    lag_s
        Wall time between the moment at which the watermark could have closed the next window and now.
    """

    at_s: float
    event_ms: int = 0
    sent: int = 0
    acknowledged: int = 0
    judged: int = 0
    judged_to_ms: int = 0
    lag_s: float = 0.0
    events: int = 0
    raised: int = 0
    active: int = 0


@dataclass
class Progress:
    """The run so far; every method may be called from any thread."""

    stage: str = "starting"
    _now: Snapshot = field(default_factory=lambda: Snapshot(time.monotonic()))
    _past: deque[Snapshot] = field(default_factory=lambda: deque(maxlen=64))
    _alerts: deque[AlertEvent] = field(default_factory=lambda: deque(maxlen=200))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def update(self, **changes: int | float) -> None:
        """Set some of the numbers."""
        with self._lock:
            self._now = replace(self._now, **changes)  # type: ignore[arg-type]

    def alert(self, event: AlertEvent) -> None:
        """Take an alert event."""
        with self._lock:
            raised, active = self._now.raised, self._now.active
            if event.transition == "raised":
                raised, active = raised + 1, active + 1
            elif event.transition == "cleared":
                active = max(0, active - 1)
            self._now = replace(self._now, events=self._now.events + 1, raised=raised, active=active)
            self._alerts.append(event)

    def look(self) -> tuple[Snapshot, Snapshot]:
        """Return the run now, and as it was some 5 s ago, for rates."""
        with self._lock:
            now = self._now = replace(self._now, at_s=time.monotonic())
            before = next((one for one in self._past if now.at_s - one.at_s <= 5.0), now)
            if not self._past or now.at_s - self._past[-1].at_s >= 0.25:
                self._past.append(now)
            return now, before

    def alerts(self, most: int) -> list[AlertEvent]:
        """Return the newest alert events, newest last."""
        with self._lock:
            return list(self._alerts)[-most:]


def rate(now: Snapshot, before: Snapshot, name: str) -> float:
    """Return readings a second.

    >>> rate(Snapshot(2.0, sent=300), Snapshot(1.0, sent=100), "sent")
    200.0
    """
    elapsed = now.at_s - before.at_s
    return float(getattr(now, name) - getattr(before, name)) / elapsed if elapsed > 0 else 0.0
