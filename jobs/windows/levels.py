"""From scores to alert transitions: levels, hysteresis and durations, one active alert a (row, rule); one place for
all rules.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.detectors.base import Bools, Floats
from jobs.windows.rules import CompiledRule

Ranks = NDArray[np.uint8]
_MOST = 65_535

FIELDS = {"level": "u1", "up": "<u2", "up_level": "u1", "down": "<u2", "down_level": "u1", "raised_ms": "<i8"}
"""A row's memory: its active level (0 is none; 1 low to 4 critical), consecutive windows above it and the least
level they had, consecutive windows below it and the greatest level they had, and the start of the window that raised
the alert."""

Levels = dict[str, NDArray[Any]]


def no_levels(rows: int) -> Levels:
    """Return the memory of rows without an alert."""
    return {name: np.zeros(rows, dtype) for name, dtype in FIELDS.items()}


@dataclass(frozen=True)
class Transitions:
    """What changed in a window: `rows` whose level went from `before` to `after` (0 is none), equal in length.

    `raised_ms` is the start of the window that raised each alert.
    """

    rows: NDArray[np.int64]
    before: Ranks
    after: Ranks
    raised_ms: NDArray[np.int64]


def rank(score: Floats, rule: CompiledRule, margin: float = 0.0) -> Ranks:
    """Return the highest level whose limit each score has reached (0 for none or NaN), limits eased by `margin`."""
    ranks = np.zeros(score.shape, np.uint8)
    sign = rule.detector.sign
    for level, limit in rule.limits:
        mirrored = limit * sign
        ranks[score * sign >= mirrored - abs(mirrored) * margin] = level
    return ranks


def advance(levels: Levels, score: Floats, covered: Bools, rule: CompiledRule, start_ms: int) -> Transitions:
    """Move `levels` on by one window, in place.

    A score of NaN says nothing: durations stand still and alerts stay. Rows that the rule doesn't cover are left
    alone.

    An alert is raised, or its level raised, after `for_windows` consecutive windows above the level it has, to the
    least level they reached; it is cleared, or its level lowered, after `keep_windows` consecutive windows below, to
    the greatest they had.
    """
    sign, (_, lowest) = rule.detector.sign, rule.limits[0]
    quiet = not levels["level"].any() and not levels["up"].any()
    if quiet and not ((score * sign >= lowest * sign) & covered).any():
        return _NOTHING  # nearly every window of nearly every rule
    says = ~np.isnan(score) & covered
    reached = rank(score, rule)
    level = levels["level"]
    held = np.maximum(reached, rank(score, rule, rule.rule.hysteresis))
    over, under = says & (reached > level), says & (held < level)
    _count(levels, "up", over, np.minimum(reached, np.where(levels["up"] > 0, levels["up_level"], reached)), says)
    _count(levels, "down", under, np.maximum(held, np.where(levels["down"] > 0, levels["down_level"], 0)), says)
    rises = over & (levels["up"] >= rule.rule.for_windows)
    falls = under & (levels["down"] >= rule.rule.keep_windows)
    rows = np.flatnonzero(rises | falls)
    before = level[rows].copy()
    after = np.where(rises, levels["up_level"], levels["down_level"])[rows]
    return _move(levels, rows, before, after, start_ms)


def clear(levels: Levels, where: Bools) -> Transitions:
    """Clear every active alert in `where`, in place, and forget what was pending there."""
    rows = np.flatnonzero(where & (levels["level"] > 0))
    before, raised = levels["level"][rows].copy(), levels["raised_ms"][rows].copy()
    for array in levels.values():
        array[where] = 0
    return Transitions(rows, before, np.zeros_like(before), raised)


def _count(levels: Levels, which: str, where: Bools, extreme: NDArray[Any], says: Bools) -> None:
    """Lengthen the runs in `where`, end them where the score says otherwise, and leave them where it says nothing."""
    run = levels[which].astype(np.int64)
    levels[which][:] = np.where(where, np.minimum(run + 1, _MOST), np.where(says, 0, run))
    name = f"{which}_level"
    levels[name][:] = np.where(where, extreme, np.where(says, 0, levels[name]))


def _move(levels: Levels, rows: NDArray[np.int64], before: Ranks, after: Ranks, start_ms: int) -> Transitions:
    """Give `rows` their new level and end their runs."""
    raised = np.where(before == 0, start_ms, levels["raised_ms"][rows])
    levels["level"][rows] = after
    levels["raised_ms"][rows] = np.where(after == 0, 0, raised)
    for name in ("up", "up_level", "down", "down_level"):
        levels[name][rows] = 0
    return Transitions(rows, before, after, raised)


_EMPTY = np.zeros(0, np.int64)
_NOTHING = Transitions(_EMPTY, _EMPTY.astype(np.uint8), _EMPTY.astype(np.uint8), _EMPTY)


def sparse(levels: Levels) -> Levels:
    """Return the memory of the rows that have any, with their numbers as `row`: most rows of a quiet fleet have none.

    >>> levels = no_levels(1000)
    >>> levels["level"][7] = 2
    >>> sparse(levels)["row"]
    array([7], dtype=uint32)
    """
    busy = np.flatnonzero((levels["level"] > 0) | (levels["up"] > 0))
    return {"row": busy.astype("<u4"), **{name: levels[name][busy] for name in FIELDS}}


def dense(stored: Levels, rows: int) -> Levels:
    """Undo `sparse`; a field that was not stored starts afresh."""
    levels = no_levels(rows)
    at = stored["row"]
    for name in FIELDS:
        if name in stored:
            levels[name][at] = stored[name]
    return levels
