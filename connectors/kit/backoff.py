"""How long to wait before trying again."""

from collections.abc import Callable
from dataclasses import dataclass

Random = Callable[[], float]
"""Draws from [0, 1)."""


@dataclass(frozen=True)
class Backoff:
    """Delays that double up to a longest.

    The upper half of each is drawn at random, so that many clients don't return at once.

    Attributes
    ----------
    first_s, longest_s
        Seconds.
    """

    first_s: float = 0.5
    longest_s: float = 30.0

    def delay_s(self, failures: int, random: Random) -> float:
        """Return the seconds to wait after so many failures in a row (at least 1).

        >>> [Backoff(1.0, 10.0).delay_s(failures, lambda: 0.5) for failures in (1, 2, 3, 4, 5, 1000)]
        [0.75, 1.5, 3.0, 6.0, 7.5, 7.5]
        """
        # The exponent is bounded because 2.0**1024 is an OverflowError, and an outage may last that long.
        whole = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 60))
        return whole * (0.5 + random() / 2)
