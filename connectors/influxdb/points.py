"""Events as points.

An event has one place: measurement, tags and time follow from its content alone, so writing it again overwrites it.
Ids are fields, never tags: a tag with a value of its own in each point makes a series of each point.

`alerts`
    Tags site, gateway, device, quantity, rule, severity, transition. Time: the window's end plus
    `tie_break_ns(event_id)`. Fields: event_id, alert_id, detector, unit, detail; score, limit, value (where there is
    one); raised_ms, rule_version.
`windows`
    Tags site, gateway, device, quantity. Time: the window's start. Fields: count and learning (integers), first, last,
    min, max, mean, spread and score (floats; left out where there is none).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from connectors.influxdb.line import NS_IN_MS, string_field, tags, tie_break_ns
from connectors.wire.alert import AlertEvent
from connectors.wire.ledger import DeadReason
from connectors.wire.summary import Group, WindowSummary
from connectors.wire.versions import WireError

STATISTICS = ("first", "last", "minimum", "maximum", "mean", "spread")
FIELDS = ("first", "last", "min", "max", "mean", "spread")


class Bad(NamedTuple):
    """What can't become a point: a row of a summary, or the whole record (row -1)."""

    reason: DeadReason
    detail: str
    gateway: str
    row: int = -1


class Row(NamedTuple):
    """A line of line protocol, and what it tells about: gateway and row of the summary."""

    line: str
    gateway: str
    row: int


class Names(NamedTuple):
    """The series of one gateway's table: `prefixes[i]` begins the lines of series i; None if it is not selected."""

    prefixes: Sequence[str | None]
    selected: NDArray[np.bool_]


Lookup = Callable[[Group], Names | None]
"""Returns the names of a group's table; None if nobody knows the table."""


def alert_line(event: AlertEvent) -> str:
    """Return the point of an alert event.

    Raises
    ------
    WireError
        `bad-value` if score, limit or value is not finite: InfluxDB holds no such number.
    """
    numbers = {"score": event.score, "limit": event.limit, "value": event.value}
    for name, number in numbers.items():
        if number is not None and not math.isfinite(number):
            raise WireError("bad-value", f"{name} is {number}")
    where = tags(
        site=event.site,
        gateway=event.gateway,
        device=event.device,
        quantity=event.quantity,
        rule=event.rule_id,
        severity=event.severity,
        transition=event.transition,
    )
    texts = {name: getattr(event, name) for name in ("event_id", "alert_id", "detector", "unit", "detail")}
    fields = [f"{name}={string_field(text)}" for name, text in texts.items() if text]
    fields += [f"{name}={float(number)!r}" for name, number in numbers.items() if number is not None]
    fields += [f"raised_ms={event.raised_ms}i", f"rule_version={event.rule_version}i"]
    time_ns = event.window_end_ms * NS_IN_MS + tie_break_ns(event.event_id)
    return f"alerts{where} {','.join(fields)} {time_ns}"


def window_prefix(site: str, gateway: str, device: str, quantity: str) -> str:
    """Return what each point of a series in `windows` begins with."""
    return "windows" + tags(site=site, gateway=gateway, device=device, quantity=quantity) + " count="


class Columns:
    """A summary's columns as arrays of one length.

    Raises
    ------
    WireError
        `columns-differ` if they are of unequal length or the groups don't cover them.
    """

    def __init__(self, summary: WindowSummary) -> None:
        self.series = _column(summary.series, "<u4")
        self.count = _column(summary.count, "<u4")
        self.score = _column(summary.score, "<f4")
        self.learning = _column(summary.learning, "u1")
        self.statistics = [_column(getattr(summary, name), "<f8") for name in STATISTICS]
        rows = len(self.series)
        lengths = {len(column) for column in (self.count, self.score, self.learning, *self.statistics)}
        if lengths != {rows}:
            raise WireError("columns-differ", f"{rows} series, columns of {sorted(lengths)} rows")
        if any(group.rows < 0 for group in summary.groups) or sum(group.rows for group in summary.groups) != rows:
            raise WireError("columns-differ", f"the groups don't cover {rows} rows")


def _column(data: bytes, kind: str) -> NDArray[Any]:
    try:
        return np.frombuffer(data, dtype=kind)
    except ValueError as error:
        raise WireError("columns-differ", f"{len(data)} bytes are no column of {kind}") from error


def window_rows(summary: WindowSummary, lookup: Lookup) -> tuple[list[Row], list[Bad]]:
    """Return the points of the selected series of a window, and the rows that can't become one.

    Raises
    ------
    WireError
        `columns-differ`: no row can be told from another.
    """
    columns = Columns(summary)
    time_ns = summary.start_ms * NS_IN_MS
    rows: list[Row] = []
    bad: list[Bad] = []
    start = 0
    for group in summary.groups:
        end = start + group.rows
        if end > start:
            names = lookup(group)
            if names is None:
                bad += [Bad("unknown-table", f"table {group.table}", group.gateway, row) for row in range(start, end)]
            else:
                good, poor = _group_rows(columns, group, names, range(start, end))
                rows += [Row(f"{line} {time_ns}", group.gateway, row) for line, row in good]
                bad += poor
        start = end
    return rows, bad


def _group_rows(columns: Columns, group: Group, names: Names, span: range) -> tuple[list[tuple[str, int]], list[Bad]]:
    """Return the points of one group's rows `span`, without their time, and the bad rows."""
    rows: list[tuple[str, int]] = []
    within = slice(span.start, span.stop)
    index = columns.series[within]
    size = len(names.prefixes)
    outside = np.flatnonzero(index >= size)
    bad = [
        Bad("unknown-series", f"series {index[at]} of {size}", group.gateway, span.start + int(at)) for at in outside
    ]
    wanted = np.flatnonzero((index < size) & names.selected[np.minimum(index, size - 1)])
    if not len(wanted):
        return rows, bad
    take = wanted + span.start
    statistics = np.stack([column[take] for column in columns.statistics])
    score = columns.score[take]
    infinite = np.isinf(statistics).any(axis=0) | np.isinf(score)
    whole = np.isfinite(statistics).all(axis=0) & ~np.isnan(score)
    for series, row, count, learning, numbers, level, is_bad, is_whole in zip(
        index[wanted].tolist(),
        take.tolist(),
        columns.count[take].tolist(),
        columns.learning[take].tolist(),
        statistics.T.tolist(),
        score.tolist(),
        infinite.tolist(),
        whole.tolist(),
        strict=True,
    ):
        if is_bad:
            bad.append(Bad("bad-value", f"series {series}: not finite", group.gateway, row))
        elif is_whole:
            first, last, least, most, mean, spread = numbers
            rows.append(
                (
                    f"{names.prefixes[series]}{count}i,learning={learning}i,first={first!r},last={last!r},min={least!r},"
                    f"max={most!r},mean={mean!r},spread={spread!r},score={level:.6g}",
                    row,
                )
            )
        else:
            fields = [f"{name}={x!r}" for name, x in zip(FIELDS, numbers, strict=True) if not math.isnan(x)]
            fields += [] if math.isnan(level) else [f"score={level:.6g}"]
            text = "".join(f",{field}" for field in fields)
            rows.append((f"{names.prefixes[series]}{count}i,learning={learning}i{text}", row))
    return rows, bad
