"""Window summaries: what a shard's window held and how it was judged, in columns; one record a (shard, window)."""

from typing import ClassVar

import msgspec


class Group(msgspec.Struct, frozen=True, array_like=True):
    """A run of `rows` consecutive rows that belong to one gateway and series table."""

    site: str
    gateway: str
    table: str
    rows: int


class Judged(msgspec.Struct, frozen=True, array_like=True):
    """Which packs of a gateway the window judged: `ranges` is `[first, last, first, last, …]` of sequence numbers."""

    gateway: str
    boot: str
    ranges: list[int]
    readings: int


class WindowSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One window of one shard.

    Attributes
    ----------
    start_ms, end_ms
        Event time, `[start, end)`.
    observed
        Whether a heartbeat lay in the window: without one, missing data says nothing.
    readings, duplicates
        Distinct readings judged, and copies dropped. All counts are readings.
    groups
        To whom the rows belong, in order; the names are in `tidemark.series-tables.v1`.
    series, count
        `<u4` a row: index in the group's table; readings in the window.
    first, last, minimum, maximum, mean, spread
        `<f8` a row, in the series' unit; `spread` is the sample standard deviation (0 for one reading). Bad-quality
        readings count in `count` alone; a row with no other has NaN in the rest.
    score
        `<f4` a row: the largest of the detectors' scores, each divided by its limit; NaN while all are learning.
    learning
        `u1` a row: windows left until the slowest detector is warm, at most 255.
    judged
        The packs in it, so that a copy that comes later is known as a copy.
    """

    VERSION: ClassVar[int] = 1
    v: int = 1
    shard: int
    start_ms: int
    end_ms: int
    observed: bool
    readings: int
    duplicates: int
    rule_version: int
    first_offset: int
    last_offset: int
    groups: list[Group]
    series: bytes
    count: bytes
    first: bytes
    last: bytes
    minimum: bytes
    maximum: bytes
    mean: bytes
    spread: bytes
    score: bytes
    learning: bytes
    judged: list[Judged]
