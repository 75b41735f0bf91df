"""Counting what the broker refused, as its log grows."""

from collections import Counter
from pathlib import Path

from connectors.kit.follow import Follower
from connectors.monitor.refusals import Grants, Reason, read_grants, refusal


class BrokerLog:
    """The broker's log and access list, looked at from time to time.

    Parameters
    ----------
    log, acl
        Files; they may be absent at first. Without an access list no subscription counts as refused.
    """

    def __init__(self, log: Path, acl: Path | None) -> None:
        self._follower = Follower(log)
        self._acl = acl

    def refusals(self) -> Counter[Reason]:
        """Return what was refused since the last look."""
        lines = self._follower.lines()
        # Read anew: a gateway added a moment ago has perhaps subscribed already.
        grants = self._grants() if lines else {}
        return Counter(reason for line in lines if (reason := refusal(line, grants)) is not None)

    def _grants(self) -> Grants:
        try:
            return {} if self._acl is None else read_grants(self._acl.read_text())
        except FileNotFoundError:
            return {}

    def close(self) -> None:
        """Close the log."""
        self._follower.close()
