"""Which records are wanted."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from deploy.records.subjects import Subject


@dataclass(frozen=True)
class Filters:
    """What a record must be to be shown; what is empty or None asks for nothing.

    Attributes
    ----------
    since_ms, until_ms
        Of Kafka's timestamp, `[since, until)`.
    sites, gateways, series
        Globs, case-sensitive; one of each kind must match, and all three kinds on the same subject. `series` are
        matched with `device/quantity`.
    reasons, services
        Of dead letters.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    sites: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    reasons: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()

    @property
    def has_times(self) -> bool:
        """Whether only some times are wanted."""
        return self.since_ms is not None or self.until_ms is not None

    @property
    def asks_for_subjects(self) -> bool:
        """Whether a record's subjects matter."""
        return bool(self.sites or self.gateways or self.series)

    def takes_stamp(self, stamp_ms: int) -> bool:
        """Whether a record's time is within the range.

        >>> Filters(since_ms=5, until_ms=9).takes_stamp(9)
        False
        """
        after = self.since_ms is None or stamp_ms >= self.since_ms
        return after and (self.until_ms is None or stamp_ms < self.until_ms)

    def takes_subject(self, subject: Subject) -> bool:
        """Whether one subject is wanted.

        >>> Filters(gateways=("gw-*",), series=("*/speed",)).takes_subject(Subject("s", "gw-1", "press", "speed"))
        True
        """
        return (
            _matches(self.sites, subject.site)
            and _matches(self.gateways, subject.gateway)
            and _matches(self.series, subject.series)
        )

    def takes_subjects(self, subjects: Iterable[Subject]) -> bool:
        """Whether a record about `subjects` is wanted; one about nothing is not, once a subject is asked for."""
        return not self.asks_for_subjects or any(map(self.takes_subject, subjects))

    def takes_cause(self, reason: str, service: str) -> bool:
        """Whether a dead letter's reason and service are wanted."""
        return (not self.reasons or reason in self.reasons) and (not self.services or service in self.services)


def _matches(globs: tuple[str, ...], name: str) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)
