"""From transitions to alert events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from connectors.wire.alert import SEVERITIES, AlertEvent, Transition, alert_id, event_id
from jobs.detectors.base import Floats
from jobs.windows.levels import Transitions


class Where(NamedTuple):
    """A series, or a gateway (device, quantity and unit are empty)."""

    site: str
    gateway: str
    device: str = ""
    quantity: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Bounds:
    """Which window of which shard, and where its records lie."""

    shard: int
    start_ms: int
    end_ms: int
    first_offset: int = -1
    last_offset: int = -1


@dataclass(frozen=True)
class Cause:
    """Why alerts of one rule changed.

    Attributes
    ----------
    limits
        Rank of a severity → limit.
    score, value
        One entry a row; None where no detector stepped.
    detail
        Row → one sentence for people.
    """

    rule_id: str
    detector: str
    detail: Callable[[int], str]
    version: int = 0
    hash: str = ""
    limits: Mapping[int, float] = field(default_factory=dict)
    score: Floats | None = None
    value: Floats | None = None


def alert_events(changes: Transitions, cause: Cause, where: Callable[[int], Where], bounds: Bounds) -> list[AlertEvent]:
    """Return one event a changed row, in order of rows."""
    columns = (changes.rows, changes.before, changes.after, changes.raised_ms)
    rows = map(_Change._make, zip(*(column.tolist() for column in columns), strict=True))
    return [_event(change, cause, where(change.row), bounds) for change in rows]


class _Change(NamedTuple):
    row: int
    before: int
    after: int
    raised_ms: int


def _event(change: _Change, cause: Cause, at: Where, bounds: Bounds) -> AlertEvent:
    row, before, after, raised_ms = change
    alert = alert_id(at.gateway, at.device, at.quantity, cause.rule_id, raised_ms)
    transition = _transition(before, after)
    return AlertEvent(
        event_id=event_id(alert, transition, bounds.end_ms),
        alert_id=alert,
        transition=transition,
        severity=SEVERITIES[(after or before) - 1],
        site=at.site,
        gateway=at.gateway,
        device=at.device,
        quantity=at.quantity,
        unit=at.unit,
        rule_id=cause.rule_id,
        rule_version=cause.version,
        rule_hash=cause.hash,
        detector=cause.detector,
        raised_ms=raised_ms,
        window_start_ms=bounds.start_ms,
        window_end_ms=bounds.end_ms,
        score=_number(cause.score, row),
        limit=cause.limits.get(max(before, after)),
        value=_number(cause.value, row),
        shard=bounds.shard,
        first_offset=bounds.first_offset,
        last_offset=bounds.last_offset,
        detail=cause.detail(row),
    )


def _transition(before: int, after: int) -> Transition:
    if before == 0:
        return "raised"
    if after == 0:
        return "cleared"
    return "escalated" if after > before else "deescalated"


def _number(column: Floats | None, row: int) -> float | None:
    """Return an entry, None for NaN and infinities, which JSON doesn't know."""
    value = float(column[row]) if column is not None else np.nan
    return value if np.isfinite(value) else None
