"""Counting what the broker refused, as its log grows."""

from collections import Counter
from pathlib import Path

from connectors.kit.follow import Follower
from connectors.monitor.refusals import Reason, Refusals


class BrokerLog:
    """The broker's log, looked at from time to time; it may be absent at first."""

    def __init__(self, log: Path) -> None:
        self._follower = Follower(log)
        self._refusals = Refusals()

    def refusals(self) -> Counter[Reason]:
        """Return what was refused since the last look."""
        read = (self._refusals.read(line) for line in self._follower.lines())
        return Counter(reason for reason in read if reason is not None)

    def close(self) -> None:
        """Close the log."""
        self._follower.close()
