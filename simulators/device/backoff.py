"""Delays between attempts to connect."""

from dataclasses import dataclass
from random import Random


@dataclass
class Backoff:
    """Doubles from `least_s` to `most_s`, each delay drawn between half of it and all of it.

    The draw keeps a fleet that lost its broker at one moment from coming back at one moment.

    >>> backoff = Backoff(1.0, 4.0, Random(1))
    >>> [0.5 * d <= backoff.next_s() <= d for d in (1.0, 2.0, 4.0, 4.0)]
    [True, True, True, True]
    """

    least_s: float
    most_s: float
    rng: Random
    _attempts: int = 0

    def next_s(self) -> float:
        """Return the delay before the next attempt."""
        # The exponent is capped before the power is taken: an outage of months must not overflow.
        whole = min(self.least_s * 2.0 ** min(self._attempts, 60), self.most_s)
        self._attempts += 1
        return whole * self.rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin anew after a connection that worked."""
        self._attempts = 0
