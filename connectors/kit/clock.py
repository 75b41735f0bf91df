"""Clocks. Event time, cells and skew use the injected clock; acks, holds, retries and latency use wall time."""

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Tells the time, in milliseconds since 1970 UTC."""

    def now_ms(self) -> int:
        """Return the time now."""
        ...


class WallClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return the time now."""
        return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class ScaledClock:
    """A clock that stood at `origin_ms` when the wall clock stood at `started_at_ms`, and runs `speed` times as fast.

    All processes of a run are given the same three numbers, so they agree.
    """

    origin_ms: int
    started_at_ms: int
    speed: float

    def now_ms(self) -> int:
        """Return the time now."""
        return self.at(time.time_ns() / 1e6)

    def at(self, wall_ms: float) -> int:
        """Return the time when the wall clock stands at `wall_ms`.

        >>> ScaledClock(origin_ms=0, started_at_ms=1_000, speed=60.0).at(2_000)
        60000
        """
        return int(self.origin_ms + (wall_ms - self.started_at_ms) * self.speed)

    def wall_ms(self, time_ms: int) -> float:
        """Return the wall time at which this clock shows `time_ms`."""
        return self.started_at_ms + (time_ms - self.origin_ms) / self.speed


@dataclass
class ManualClock:
    """A clock for tests: it stands until it is moved."""

    time_ms: int = 0

    def now_ms(self) -> int:
        """Return the time now."""
        return self.time_ms

    def advance(self, milliseconds: int) -> None:
        """Move the clock."""
        self.time_ms += milliseconds
