"""A series that no longer reports while its gateway does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from jobs.detectors.base import (
    MOST_WINDOWS,
    WINDOWS,
    Bools,
    Detector,
    Features,
    Field,
    Floats,
    Judgement,
    State,
    bounded,
    counted,
)

_STEP = 1.25
"""Factor by which the median moves: two steps a factor of about 1.5, so that an hour-long outage hardly moves it."""


@dataclass(frozen=True)
class Missing(Detector):
    """How long a series has been silent, in units of the silence that it may have.

    A series is expected once seen. It may be silent for `intervals` times its median interval between readings, but
    at least for `windows_at_least` windows; at a score of 1 it is missing. Windows without a heartbeat say nothing,
    and neither do windows in which the whole gateway was silent: that is the gateway's alert
    (`jobs.detectors.silence`), not one of each series.

    Assumes that a series reports at intervals of its own. Cost: some 15 array operations. State: 8 bytes a series.

    Parameters
    ----------
    intervals
        Median intervals that a series may be silent.
    windows_at_least
        Windows that every series may be silent.
    forget_after_windows
        After so many windows of silence, the series is no longer expected and its state is given up.

    References
    ----------
    Ma, Muthukrishnan, Sandler (2013), Frugal streaming for estimating quantiles: one (or two) memory suffices,
    arXiv:1407.1121; here with steps in proportion.

    Examples
    --------
    >>> detector = Missing(warm_up=5)
    >>> state = detector.initial(2)
    >>> there, gone = np.array([[20.0, 5.0]] * 3), np.array([[20.0, np.nan]] * 3)
    >>> for readings in [there] * 10 + [gone] * 2:
    ...     state, score, evidence = detector.step(state, Features.of_readings(readings))
    >>> score
    array([0., 1.])
    """

    name: ClassVar[str] = "missing"
    unit: ClassVar[str] = "the longest usual silence"
    fields: ClassVar[tuple[Field, ...]] = (Field("silent", "<u2"), Field("interval", "<f4"), Field(WINDOWS, "<u2"))

    intervals: float = 3.0
    windows_at_least: int = 2
    forget_after_windows: int = 60_480
    warm_up: int = field(default=10, kw_only=True)

    def problems(self) -> list[str]:
        """Everything is at least 1, and forgetting comes last."""
        wrong = [] if self.intervals >= 1 else [f"intervals {self.intervals} is below 1"]
        if not 1 <= self.windows_at_least < self.forget_after_windows <= MOST_WINDOWS:
            order = f"windows_at_least {self.windows_at_least} < forget_after_windows {self.forget_after_windows}"
            wrong.append(f"not in order within 1 to {MOST_WINDOWS}: {order}")
        return super().problems() + wrong

    def step(self, state: State, features: Features) -> Judgement:
        """Count a silent window, or learn from the readings that ended the silence."""
        there = features.count > 0
        seen = there | (state[WINDOWS] > 0)
        says = seen & features.live & features.observed
        longer = np.where(says, np.minimum(state["silent"].astype(np.int64) + 1, MOST_WINDOWS), state["silent"])
        silent = np.where(there, 0, longer)
        interval = self._median(state, there, features)
        windows = counted(state[WINDOWS], there)
        allowed = np.maximum(self.intervals * interval, float(self.windows_at_least))
        score = np.where(silent >= self.forget_after_windows, 0.0, bounded(silent / allowed))
        warm = (windows > self.warm_up) & (there | says)
        after: State = {"silent": silent.astype("<u2"), "interval": interval.astype("<f4"), WINDOWS: windows}
        evidence = {"silent": silent.astype(np.float64), "interval": interval}
        return Judgement(after, np.where(warm, score, np.nan), evidence)

    def _median(self, state: State, there: Bools, features: Features) -> Floats:
        """Return the running median of the interval between readings, in windows."""
        old = state["interval"].astype(np.float64)
        sample = (state["silent"] + 1.0) / np.maximum(features.count, 1)
        stepped = np.clip(sample, old / _STEP, old * _STEP)
        return np.where(there, np.where(state[WINDOWS] > 0, stepped, sample), old)

    def describe(self, evidence: Mapping[str, float]) -> str:
        """Say how long it was silent."""
        return "no reading for {silent:.0f} windows; usually one every {interval:.3g} windows".format(**evidence)
