"""What every detector is: a frozen spec and a pure step over arrays with one entry a series.

A detector steps once a window, over all series of a shard at once. It knows no clock, no Flink and no I/O: what it
remembers is in the state it is given, and it never changes what it is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
State = dict[str, NDArray[Any]]
"""A detector's memory: field name → array (series,) of the field's dtype."""

Evidence = dict[str, Floats]
"""What a score rests on: name → array (series,), in the unit of the series unless the detector says otherwise."""

WINDOWS = "windows"
"""Field that counts the windows a series was judged in, for the warm-up; it stands still at `MOST_WINDOWS`."""

MOST_WINDOWS = 65_535
BOUND = 1_000.0
"""No score is greater: beyond it nothing more can be learned, and infinities would travel into summaries and JSON."""


FAR = 1e30
"""Values count as no further from 0: squares of what lies beyond overflow, and one such reading would blind the
rest.
"""

SETTLED = 3
"""Windows after which a scale is known well enough to clip by it."""


class Field(NamedTuple):
    """One field of a detector's state: dtype (little-endian) and what a new series starts with."""

    name: str
    dtype: str
    initial: float = 0.0


class Judgement(NamedTuple):
    """What a step gives: the state to go on with, scores (series,) `<f8` with NaN for "can't say", and evidence."""

    state: State
    score: Floats
    evidence: Evidence


@dataclass(frozen=True)
class Features:
    """What a window holds of each series. Arrays of shape (series,), `float64` unless said otherwise.

    Attributes
    ----------
    count
        Readings, bad ones included (`int64`).
    first, last, minimum, maximum, mean, spread
        Of the good readings, in the series' unit; `spread` is the sample standard deviation. NaN where there is none.
    observed
        Whether a heartbeat lay in the window. If not, that a reading is absent says nothing.
    live
        Whether the series' gateway sent anything in the window (`bool`).
    """

    count: NDArray[np.int64]
    first: Floats
    last: Floats
    minimum: Floats
    maximum: Floats
    mean: Floats
    spread: Floats
    observed: bool
    live: Bools

    @classmethod
    def of_readings(cls, readings: Floats, *, observed: bool = True) -> Self:
        """Build the features of `readings`, shape (readings, series) in order of time; NaN where there is none.

        >>> Features.of_readings(np.array([[1.0, np.nan], [3.0, np.nan]])).mean
        array([ 2., nan])
        """
        there = ~np.isnan(readings)
        count = there.sum(axis=0)
        some = count > 0
        total = np.where(there, readings, 0.0).sum(axis=0)
        mean = np.where(some, total / np.maximum(count, 1), np.nan)
        with np.errstate(over="ignore"):
            squares = np.where(there, (readings - mean) ** 2, 0.0).sum(axis=0)
        columns = np.arange(readings.shape[1])
        return cls(
            count=count,
            first=readings[np.argmax(there, axis=0), columns],
            last=readings[readings.shape[0] - 1 - np.argmax(there[::-1], axis=0), columns],
            minimum=np.where(some, np.where(there, readings, np.inf).min(axis=0), np.nan),
            maximum=np.where(some, np.where(there, readings, -np.inf).max(axis=0), np.nan),
            mean=mean,
            spread=np.where(some, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan),
            observed=observed,
            live=np.full(readings.shape[1], bool(some.any())),
        )

    @classmethod
    def of_gateways(cls, count: NDArray[np.int64], observed: bool) -> Self:
        """Build the features of gateways: `count` readings (gateways,) and nothing else."""
        nothing = np.full(count.shape, np.nan)
        live = np.ones(count.shape, dtype=bool)
        return cls(count, nothing, nothing, nothing, nothing, nothing, nothing, observed, live)


@dataclass(frozen=True)
class Detector:
    """A detector's spec. A subclass is one file: parameters with defaults, its state's fields, its step.

    Scores point one way: the higher, the more unusual; or, where `sign` is -1, the lower. Levels are limits on the
    score.

    Parameters
    ----------
    warm_up
        Windows with readings before a series' first score: until then the score is NaN and no alert can be raised.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    axis: ClassVar[Literal["series", "gateway"]] = "series"

    warm_up: int = field(default=100, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse parameters that make no sense, all at once."""
        problems = self.problems()
        if problems:
            raise ValueError("; ".join(problems))

    def problems(self) -> list[str]:
        """Say what is wrong with the parameters."""
        return [] if 0 <= self.warm_up < MOST_WINDOWS else [f"warm_up {self.warm_up} is not in 0 to {MOST_WINDOWS - 1}"]

    @property
    def sign(self) -> int:
        """1 where a high score is unusual, -1 where a low one is."""
        return 1

    def step(self, state: State, features: Features) -> Judgement:
        """Judge a window: pure, deterministic, and of one row's readings only."""
        raise NotImplementedError

    def describe(self, evidence: Mapping[str, float]) -> str:
        """Say in one sentence what one series' evidence means."""
        raise NotImplementedError

    def initial(self, series: int) -> State:
        """Return the state of series never seen."""
        return {one.name: np.full(series, one.initial, dtype=one.dtype) for one in self.fields}

    def learning(self, state: State) -> NDArray[np.int64]:
        """Return the windows left until each series is warm, shape (series,)."""
        return np.maximum(self.warm_up - state[WINDOWS].astype(np.int64), 0)


def restored(detector: Detector, stored: Mapping[str, NDArray[Any]], series: int) -> State:
    """Fit a stored state to today's fields: what is unknown is dropped, what is new starts afresh.

    A field whose kind of number changed (float → int) is new, because its meaning must have changed too.

    Examples
    --------
    >>> from jobs.detectors.stuck import Stuck
    >>> sorted(restored(Stuck(), {"run": np.array([3], "<u2"), "gone": np.array([1.0])}, 1))
    ['flat', 'last', 'run', 'windows']
    """
    state = detector.initial(series)
    for one in detector.fields:
        old = stored.get(one.name)
        if old is not None and old.shape == (series,) and old.dtype.kind == np.dtype(one.dtype).kind:
            state[one.name] = old.astype(one.dtype)
    return state


def counted(windows: NDArray[Any], where: Bools) -> NDArray[np.uint16]:
    """Return the warm-up counter, one higher in `where`, never beyond `MOST_WINDOWS`."""
    return np.where(where & (windows < MOST_WINDOWS), windows + 1, windows).astype("<u2")


def within_reach(value: Floats) -> Floats:
    """Return the values within ±`FAR`; NaN stays NaN."""
    near: Floats = np.minimum(np.maximum(value, -FAR), FAR)  # numpy's clip takes twice as long for a few hundred rows
    return near


def faint(level: Floats) -> Floats:
    """Return the smallest scale at a level: a series that never moved is not infinitely surprising when it does."""
    smallest: Floats = np.abs(np.where(np.isnan(level), 0.0, level)) * 1e-9 + 1e-30
    return smallest


def clip_limit(clip: float, scale: Floats, level: Floats, windows: NDArray[Any]) -> Floats:
    """Return how far a residual counts (Huber's ψ): `clip` scales, or all of it while there is no scale to speak
    of.
    """
    return np.where((windows > SETTLED) & (scale > faint(level)), clip * scale, np.inf)


def bounded(score: Floats) -> Floats:
    """Return the scores within ±`BOUND`; NaN stays NaN."""
    clipped: Floats = np.minimum(np.maximum(score, -BOUND), BOUND)
    return clipped
