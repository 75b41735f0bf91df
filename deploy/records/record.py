"""A record of Kafka as a plain value, with an id that stays the same as long as the record is kept."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from deploy.local.decode import full_name, short_name

_ID = re.compile(r"(?P<topic>.+)-(?P<partition>\d{1,9})-(?P<offset>\d{1,18})")


class RecordsError(Exception):
    """The records asked for can't be had; the message says why and what to do next."""


@dataclass(frozen=True)
class Place:
    """Where a record lies. Its text is the record's id.

    >>> str(Place("tidemark.dead-letters.v1", 2, 17))
    'dead-letters-2-17'
    """

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{short_name(self.topic)}-{self.partition}-{self.offset}"


def parse_id(text: str) -> Place:
    """Return the place that an id names.

    Raises
    ------
    ValueError
        If it is no id, or of a topic that does not exist.

    >>> parse_id("dead-letters-2-17")
    Place(topic='tidemark.dead-letters.v1', partition=2, offset=17)
    """
    found = _ID.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no id of a record; one reads like dead-letters-2-17 (topic-partition-offset)")
    return Place(full_name(found["topic"]), int(found["partition"]), int(found["offset"]))


@dataclass(frozen=True)
class Record:
    """A record.

    Attributes
    ----------
    stamp_ms
        Kafka's timestamp: when it was written, or, in readings, its earliest event time.
    headers
        Name and value; a header without a value is left out.
    value
        None for a tombstone.
    """

    place: Place
    stamp_ms: int
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def rfc3339(time_ms: float) -> str:
    """Return a time as text, UTC; one that no calendar holds as plain milliseconds.

    >>> rfc3339(1_700_000_000_250), rfc3339(2**60)
    ('2023-11-14T22:13:20.250Z', '1152921504606846976 ms')
    """
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"
