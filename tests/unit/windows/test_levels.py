"""The level machine: one place for levels, hysteresis and durations of every rule."""

import math

import numpy as np
import pytest

from connectors.wire.ruleset import Rule
from jobs.windows.levels import Levels, advance, clear, dense, no_levels, sparse
from jobs.windows.rules import CompiledRule
from tests.support.shards import compiled

NAN = math.nan
ALL = np.ones(1, bool)


def rule(**settings: object) -> CompiledRule:
    levels = {"medium": 10.0, "critical": 20.0}
    return compiled(Rule(**({"id": "r", "detector": "limits", "levels": levels} | settings))).at(0).rules[0]  # type: ignore[arg-type]


def run(one: CompiledRule, scores: list[float], levels: Levels | None = None) -> list[str]:
    """Return the transitions of one row: `window: before>after@raised`."""
    levels = levels or no_levels(1)
    told = []
    for window, score in enumerate(scores):
        changes = advance(levels, np.array([score]), ALL, one, window * 100)
        for before, after, raised in zip(changes.before, changes.after, changes.raised_ms, strict=True):
            told.append(f"{window}: {before}>{after}@{raised}")
    return told


@pytest.mark.parametrize(
    ("settings", "scores", "expected"),
    [
        ({}, [5, 10, 15, 9], ["1: 0>2@100", "3: 2>0@100"]),
        ({}, [12, 25, 12, 5], ["0: 0>2@0", "1: 2>4@0", "2: 4>2@0", "3: 2>0@0"]),
        ({}, [25, 5], ["0: 0>4@0", "1: 4>0@0"]),
        ({"hysteresis": 0.2}, [10, 8.5, 8, 7.9], ["0: 0>2@0", "3: 2>0@0"]),
        ({"hysteresis": 0.2}, [25, 17, 15, 5], ["0: 0>4@0", "2: 4>2@0", "3: 2>0@0"]),
        ({"for_windows": 3}, [12, 12, 9, 12, 12, 12], ["5: 0>2@500"]),
        ({"for_windows": 2}, [12, 25, 12, 25, 25], ["1: 0>2@100", "4: 2>4@100"]),
        ({"for_windows": 2}, [25, 25], ["1: 0>4@100"]),
        ({"keep_windows": 3}, [12, 5, 5, 12, 5, 5, 5], ["0: 0>2@0", "6: 2>0@0"]),
        ({"keep_windows": 2}, [25, 12, 5, 5, 5], ["0: 0>4@0", "2: 4>2@0", "4: 2>0@0"]),
        ({"for_windows": 2}, [12, NAN, NAN, 12], ["3: 0>2@300"]),
        ({"keep_windows": 2}, [12, 5, NAN, 5], ["0: 0>2@0", "3: 2>0@0"]),
        ({}, [NAN, NAN], []),
        ({}, [12, NAN, NAN], ["0: 0>2@0"]),
    ],
)
def test_transitions(settings: dict[str, object], scores: list[float], expected: list[str]) -> None:
    assert run(rule(**settings), scores) == expected


def test_a_limit_from_below_is_mirrored() -> None:
    below = rule(parameters={"side": "below"}, levels={"medium": -5.0, "high": -10.0}, hysteresis=0.2)
    assert run(below, [0, -5, -4.5, -3.9, -12]) == ["1: 0>2@100", "3: 2>0@100", "4: 0>3@400"]


def test_a_row_that_is_not_covered_is_left_alone() -> None:
    levels = no_levels(2)
    changes = advance(levels, np.array([50.0, 50.0]), np.array([True, False]), rule(), 0)
    assert changes.rows.tolist() == [0]
    assert levels["level"].tolist() == [4, 0]


def test_clearing_tells_when_each_alert_was_raised() -> None:
    levels = no_levels(2)
    advance(levels, np.array([50.0, 1.0]), np.ones(2, bool), rule(), 700)
    changes = clear(levels, np.ones(2, bool))
    assert (changes.rows.tolist(), changes.before.tolist(), changes.raised_ms.tolist()) == ([0], [4], [700])
    assert not any(array.any() for array in levels.values())


def test_only_rows_with_something_to_remember_are_stored() -> None:
    levels = no_levels(1000)
    scores = np.zeros(1000)
    scores[[3, 900]] = 50.0
    advance(levels, scores, np.ones(1000, bool), rule(for_windows=2), 0)
    stored = sparse(levels)
    assert stored["row"].tolist() == [3, 900]
    again = dense(stored, 1000)
    assert all((again[name] == levels[name]).all() for name in levels)
