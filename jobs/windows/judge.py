"""Every rule over every row of a shard, once a window."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from connectors.wire.alert import AlertEvent
from jobs.detectors.base import BOUND, Bools, Features, Floats, Judgement, State, restored
from jobs.windows.directory import Directory
from jobs.windows.events import Bounds, Cause, Where, alert_events
from jobs.windows.levels import Levels, advance, clear, no_levels
from jobs.windows.rules import CompiledRule, CompiledSet

_NEVER = ("", -1)


@dataclass
class RuleMemory:
    """What a rule remembers of a shard's rows (series or gateways).

    Attributes
    ----------
    detector, axis
        By which detector `state` was written, and what its rows are.
    covered
        Which rows the rule selects; not stored, because names and rule give it again.
    fitted_to
        Hash of the rule and generation of the directory that `state` and `covered` fit.
    """

    detector: str
    axis: str
    state: State
    levels: Levels
    covered: Bools = field(default_factory=lambda: np.zeros(0, bool))
    fitted_to: tuple[str, int] = _NEVER

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.levels["level"].size)

    def take(self, rows: NDArray[np.int64]) -> None:
        """Keep these rows alone."""
        self.state = {name: array[rows] for name, array in self.state.items()}
        self.levels = {name: array[rows] for name, array in self.levels.items()}
        self.fitted_to = _NEVER


Memories = dict[str, RuleMemory]
"""Rule id → memory."""


@dataclass(frozen=True)
class Verdict:
    """What the rules say of a window.

    Attributes
    ----------
    score
        The greatest score of each series, divided by its rule's lowest limit, `<f4`; NaN where no rule has one.
    learning
        Windows until the slowest detector of each series is warm, at most 255, `u1`.
    """

    alerts: list[AlertEvent]
    score: NDArray[np.float32]
    learning: NDArray[np.uint8]


def judge(
    memories: Memories, directory: Directory, rules: CompiledSet, features: Mapping[str, Features], bounds: Bounds
) -> Verdict:
    """Step every rule of `rules`, moving `memories` on; `features` are those of axis `series` and of axis
    `gateway`.
    """
    alerts = _withdraw(memories, directory, rules, bounds)
    worst: Floats = np.full(directory.rows, np.nan)
    learning = np.zeros(directory.rows, np.int64)
    for rule in rules.rules:
        detector = rule.detector
        memory = _fitted(memories, rule, directory)
        judgement = detector.step(memory.state, features[detector.axis])
        memory.state = judgement.state
        cause = _cause(rule, rules.version, judgement, features[detector.axis])
        alerts += _settle(memory, rule, cause, where_of(directory, detector.axis), bounds)
        if detector.axis == "series":
            worst = np.fmax(worst, relative(judgement.score, rule), out=worst, where=memory.covered)
            learning = np.maximum(learning, detector.learning(judgement.state), out=learning, where=memory.covered)
    alerts.sort(key=lambda event: (event.gateway, event.device, event.quantity, event.rule_id))
    worst = np.minimum(np.maximum(worst, -BOUND), BOUND)
    return Verdict(alerts, worst.astype("<f4"), np.minimum(learning, 255).astype("u1"))


def relative(score: Floats, rule: CompiledRule) -> Floats:
    """Return the score as a multiple of the rule's lowest limit, mirrored where low is bad; NaN if that limit is
    0.
    """
    _, limit = rule.limits[0]
    if limit == 0:
        return np.full(score.shape, np.nan)
    return 1.0 + (score - limit) * (rule.detector.sign / abs(limit))


def where_of(directory: Directory, axis: str) -> Callable[[int], Where]:
    """Return what names a row of an axis."""

    def gateway_at(row: int) -> Where:
        gateway = directory.gateways[row]
        return Where(gateway.site, gateway.name)

    def series_at(row: int) -> Where:
        gateway, series = directory.series_at(row)
        return Where(gateway.site, gateway.name, series.device, series.quantity, series.unit)

    return gateway_at if axis == "gateway" else series_at


def clear_rows(memories: Memories, directory: Directory, gone: Mapping[str, Bools], bounds: Bounds) -> list[AlertEvent]:
    """Clear the alerts of rows (by axis) that are about to be forgotten."""
    alerts = []
    for rule_id, memory in memories.items():
        cause = Cause(rule_id, memory.detector, lambda _row: "no longer expected: silent for too long")
        changes = clear(memory.levels, gone[memory.axis])
        alerts += alert_events(changes, cause, where_of(directory, memory.axis), bounds)
    return alerts


def _withdraw(memories: Memories, directory: Directory, rules: CompiledSet, bounds: Bounds) -> list[AlertEvent]:
    """Clear the alerts, and drop the memory, of rules that are no longer there or have another detector."""
    detectors = {rule.rule.id: rule.detector.name for rule in rules.rules}
    alerts = []
    for rule_id in [one for one, memory in memories.items() if detectors.get(one) != memory.detector]:
        memory = memories.pop(rule_id)
        cause = Cause(rule_id, memory.detector, lambda _row: "the rule was withdrawn", rules.version)
        changes = clear(memory.levels, np.ones(memory.rows, bool))
        alerts += alert_events(changes, cause, where_of(directory, memory.axis), bounds)
    return alerts


def _fitted(memories: Memories, rule: CompiledRule, directory: Directory) -> RuleMemory:
    """Return the rule's memory, made anew or fitted to today's detector, rows and selection."""
    detector, today = rule.detector, (rule.hash, directory.generation)
    memory = memories.get(rule.rule.id)
    if memory is None:
        memory = RuleMemory(detector.name, detector.axis, detector.initial(0), no_levels(0))
        memories[rule.rule.id] = memory
    rows = directory.rows if detector.axis == "series" else len(directory.gateways)
    if memory.fitted_to == today and memory.rows == rows:
        return memory
    had = memory.rows
    old, new, fresh = restored(detector, memory.state, had), detector.initial(rows - had), no_levels(rows - had)
    memory.state = {name: np.concatenate([old[name], new[name]]) for name in new}
    memory.levels = {name: np.concatenate([memory.levels[name], fresh[name]]) for name in fresh}
    known = had if memory.fitted_to == today else 0
    memory.covered = np.concatenate([memory.covered[:known], _covered(rule, directory, known, rows)])
    memory.fitted_to = today
    return memory


def _covered(rule: CompiledRule, directory: Directory, first: int, last: int) -> Bools:
    """Return which of the rows `[first, last)` the rule selects."""
    if not rule.rule.select:
        return np.ones(last - first, bool)
    where = where_of(directory, rule.detector.axis)
    return np.array([rule.matches(*where(row)) for row in range(first, last)], bool)


def _cause(rule: CompiledRule, version: int, judgement: Judgement, features: Features) -> Cause:
    def detail(row: int) -> str:
        return rule.detector.describe({name: float(column[row]) for name, column in judgement.evidence.items()})

    return Cause(
        rule_id=rule.rule.id,
        detector=rule.detector.name,
        detail=detail,
        version=version,
        hash=rule.hash,
        limits=dict(rule.limits),
        score=judgement.score,
        value=features.mean,
    )


def _settle(
    memory: RuleMemory, rule: CompiledRule, cause: Cause, where: Callable[[int], Where], bounds: Bounds
) -> list[AlertEvent]:
    """Turn scores into transitions and those into events; also clear what a changed selector no longer covers."""
    if cause.score is None:
        return []
    changes = advance(memory.levels, cause.score, memory.covered, rule, bounds.start_ms)
    alerts = alert_events(changes, cause, where, bounds)
    if (memory.levels["level"][~memory.covered] > 0).any():
        unselected = Cause(cause.rule_id, cause.detector, lambda _row: "no longer selected by the rule", cause.version)
        alerts += alert_events(clear(memory.levels, ~memory.covered), unselected, where, bounds)
    return alerts
