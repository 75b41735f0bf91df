"""A window's summary: one record in columns, and which packs were judged."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np

from connectors.wire.summary import Group, Judged, WindowSummary
from jobs.detectors.base import Features
from jobs.windows.decode import CellPart
from jobs.windows.directory import Directory
from jobs.windows.events import Bounds
from jobs.windows.features import Seen, Whole
from jobs.windows.judge import Verdict

MAX_RANGES = 30_000
"""Ranges a summary lists, some 550 kB. Packs number without gaps, so theirs are few; mapped readings have one each,
and a summary beyond Kafka's 1 MiB would restart the job for ever. Copies of what is not listed count as late."""


def summarise(
    directory: Directory,
    seen: Seen,
    features: Features,
    verdict: Verdict,
    *,
    judged: list[Judged],
    bounds: Bounds,
    duplicates: int,
    rule_version: int,
) -> WindowSummary:
    """Build the summary; its rows are the series that had readings, by gateway, table and index."""
    groups, order, index = _grouped(directory, seen)
    rows = seen.rows[order]

    def column(name: str) -> bytes:
        values: bytes = getattr(features, name)[rows].astype("<f8").tobytes()
        return values

    return WindowSummary(
        shard=bounds.shard,
        start_ms=bounds.start_ms,
        end_ms=bounds.end_ms,
        observed=features.observed,
        readings=int(seen.count.sum()),
        duplicates=duplicates,
        rule_version=rule_version,
        first_offset=bounds.first_offset,
        last_offset=bounds.last_offset,
        groups=groups,
        series=index.astype("<u4").tobytes(),
        count=seen.count[order].astype("<u4").tobytes(),
        first=column("first"),
        last=column("last"),
        minimum=column("minimum"),
        maximum=column("maximum"),
        mean=column("mean"),
        spread=column("spread"),
        score=verdict.score[rows].tobytes(),
        learning=verdict.learning[rows].tobytes(),
        judged=judged,
    )


def _grouped(directory: Directory, seen: Seen) -> tuple[list[Group], Whole, Whole]:
    """Return the groups, the order of `seen`'s rows in them, and each row's index in its table, in that order."""
    numbers = directory.pairs_of(seen.place)
    present = sorted(np.unique(numbers).tolist(), key=lambda number: _name(directory, number))
    rank = np.zeros(len(directory.pairs), np.int64)
    rank[present] = np.arange(len(present))
    # Places are distinct, and a pair's are one range, so rank and index together sort like (gateway, table, index).
    order = np.lexsort((seen.place, rank[numbers]))
    rows = np.bincount(rank[numbers], minlength=len(present))
    groups = [_group(directory, number, int(rows[at])) for at, number in enumerate(present)]
    return groups, order, (seen.place - directory.bases[numbers])[order] if seen.place.size else seen.place


def _name(directory: Directory, number: int) -> tuple[str, str]:
    pair = directory.pairs[number]
    return directory.gateways[pair.gateway].name, pair.table


def _group(directory: Directory, number: int, rows: int) -> Group:
    pair = directory.pairs[number]
    gateway = directory.gateways[pair.gateway]
    return Group(gateway.site, gateway.name, pair.table, rows)


def judged_packs(parts: Sequence[CellPart], dead: Sequence[tuple[str, str, int]]) -> list[Judged]:
    """Return which packs of each gateway were judged; `parts` are sorted, `dead` is (gateway, boot, readings) given
    up.

    >>> from connectors.wire.record import Part
    >>> part = Part("s", "g", "b", 1, 0, "t", bytes(4), bytes(4), bytes(8))
    >>> judged_packs([("g", "b", seq, 0, part) for seq in (1, 2, 3, 7)], [])
    [Judged(gateway='g', boot='b', ranges=[1, 3, 7, 7], readings=4)]
    """
    judged = []
    room = MAX_RANGES
    for (gateway, boot), own in groupby(parts, key=itemgetter(0, 1)):
        run: list[int] = []
        readings = -sum(count for *key, count in dead if key == [gateway, boot])
        for _, _, seq, _, part in own:
            readings += len(part.values) // 8
            if run and seq <= run[-1] + 1:
                run[-1] = seq
            elif room:
                run += [seq, seq]
                room -= 1
        judged.append(Judged(gateway, boot, run, readings))
    return judged
