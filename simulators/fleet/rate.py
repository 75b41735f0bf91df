"""From a rate in readings a second to a fleet's readings a window. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How a fleet reaches a rate: `rate` is what it comes to, in readings a second."""

    readings_per_window: int
    window_ms: int
    windows: int
    rate: float


def pace(series: int, rate: float, duration_s: float, window_ms: int) -> Pace:
    """Spread `rate` readings a second over `series` series.

    Where a series has less than one reading a window, the fleet's window is several of `window_ms`, and its faults are
    as much longer. The last window ends at or after the duration.

    >>> pace(series=1000, rate=100, duration_s=60, window_ms=10_000)
    Pace(readings_per_window=1, window_ms=10000, windows=6, rate=100.0)
    >>> pace(series=1000, rate=25, duration_s=60, window_ms=10_000)
    Pace(readings_per_window=1, window_ms=40000, windows=2, rate=25.0)
    """
    a_window = rate * window_ms / 1000 / series
    if a_window >= 1:
        readings, span = round(a_window), window_ms
    else:
        readings, span = 1, round(1 / a_window) * window_ms
    windows = max(1, -(-int(duration_s * 1000) // span))
    return Pace(readings, span, windows, readings * series * 1000 / span)
