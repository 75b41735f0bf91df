"""Two-sided CUSUM against a slowly learned reference: drifts and shifts that last."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from jobs.detectors.base import (
    BOUND,
    WINDOWS,
    Detector,
    Features,
    Field,
    Judgement,
    State,
    bounded,
    clip_limit,
    counted,
    faint,
    within_reach,
)


@dataclass(frozen=True)
class Drift(Detector):
    """Deviations from the series' long-run level, added up as long as they point the same way.

    The reference (level and scale) is learned over `memory` windows from deviations clipped at `clip` scales
    (Huber's ψ), so it follows a lasting change within a day or two of windows but hardly an incident. Deviations in
    scales, less an `allowance` that daily cycles and correlated noise use up, add up to two sums that stop at
    `ceiling`; the score is the greater.

    Assumes a level to come back to. Cost: some 25 array operations. State: 22 bytes a series.

    Parameters
    ----------
    memory
        Windows that the reference remembers.
    clip
        Clip of a deviation, in scales, where the reference learns.
    allowance
        Scales that a window's deviation may have for nothing (Page's k). Above √2 a sine adds nothing up, however
        large it is, because its scale grows with it; the rest is for noise.
    most
        Scales that one window's deviation counts at most, so that a single spike is not a drift.
    ceiling
        Where the sums stop, so that an alert ends soon after the deviation does.

    References
    ----------
    Page (1954), Continuous inspection schemes, Biometrika 41.
    Montgomery, Introduction to Statistical Quality Control, ch. 9: tabular CUSUM.

    Examples
    --------
    >>> detector = Drift(warm_up=60)
    >>> state = detector.initial(1)
    >>> for value in [20.0, 20.4, 19.8, 20.2] * 20 + [20.5 + 0.1 * step for step in range(12)]:
    ...     state, score, evidence = detector.step(state, Features.of_readings(np.array([[value]])))
    >>> round(float(score[0]), 1)
    15.9
    """

    name: ClassVar[str] = "drift"
    unit: ClassVar[str] = "scales, added up"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("level", "<f8", np.nan),
        Field("scale", "<f4"),
        Field("above", "<f4"),
        Field("below", "<f4"),
        Field(WINDOWS, "<u2"),
    )

    memory: float = 500.0
    clip: float = 3.0
    allowance: float = 1.75
    most: float = 8.0
    ceiling: float = 24.0

    def problems(self) -> list[str]:
        """The memory is at least a window, everything else positive, and the ceiling below the bound."""
        wrong = [] if self.memory >= 1 else [f"memory {self.memory} is below 1"]
        for name in ("clip", "allowance", "most", "ceiling"):
            value = getattr(self, name)
            if not 0 < value <= BOUND:
                wrong.append(f"{name} {value} is not in (0, {BOUND:g}]")
        return super().problems() + wrong

    def step(self, state: State, features: Features) -> Judgement:
        """Add the window's deviation up, then learn from it."""
        value, level, scale = within_reach(features.mean), state["level"], state["scale"].astype(np.float64)
        there = ~np.isnan(value)
        known = there & ~np.isnan(level)
        windows = counted(state[WINDOWS], known)
        warm = known & (windows > self.warm_up)
        deviation = np.where(known, value - level, 0.0)
        usual = np.maximum(scale, faint(level))
        counts = np.clip(deviation / usual, -self.most, self.most)
        above = np.where(warm, np.clip(state["above"] + counts - self.allowance, 0.0, self.ceiling), state["above"])
        below = np.where(warm, np.clip(state["below"] - counts - self.allowance, 0.0, self.ceiling), state["below"])
        limit = clip_limit(self.clip, scale, level, windows)
        clipped = np.clip(deviation, -limit, limit)
        weight = np.maximum(1.0 / self.memory, 1.0 / np.maximum(windows, 1))
        variance = scale**2 + weight * (clipped**2 - scale**2)
        after: State = {
            "level": np.where(known, level + weight * clipped, np.where(there, value, level)),
            "scale": np.where(known, np.sqrt(variance), scale).astype("<f4"),
            "above": above.astype("<f4"),
            "below": below.astype("<f4"),
            WINDOWS: windows,
        }
        score = np.where(warm, bounded(np.maximum(above, below)), np.nan)
        evidence = {"value": value, "expected": level, "scale": usual, "above": above, "below": below}
        return Judgement(after, score, evidence)

    def describe(self, evidence: Mapping[str, float]) -> str:
        """Say to which side the series went."""
        side = "above" if evidence["above"] >= evidence["below"] else "below"
        what = "now {value:.6g}, for a while {side} its long-run level {expected:.6g} ± {scale:.3g}"
        return what.format(side=side, **evidence)
