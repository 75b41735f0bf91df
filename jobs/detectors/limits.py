"""Fixed limits on what is measured: the classic alarm, with levels and hysteresis from the rule."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from jobs.detectors.base import WINDOWS, Detector, Features, Field, Judgement, State, counted


@dataclass(frozen=True)
class Limits(Detector):
    """A statistic of the window against the rule's levels, in the series' own unit.

    The score is the statistic itself. With `side="below"` the levels fall with severity, such as `{medium: 5, high:
    2}`. Nothing is learned, so there is no warm-up unless asked for. The bound on scores does not apply: a score is
    a value here.

    Cost: a few array operations. State: 2 bytes a series.

    Parameters
    ----------
    side
        Which side of a limit is bad.
    statistic
        Which feature is compared; `extreme` is the maximum above and the minimum below.

    References
    ----------
    ISA-18.2-2016 and IEC 62682, alarm set points and deadband.

    Examples
    --------
    >>> detector = Limits(side="above", statistic="mean")
    >>> features = Features.of_readings(np.array([[70.0, 91.0], [72.0, 95.0]]))
    >>> detector.step(detector.initial(2), features).score
    array([71., 93.])
    """

    name: ClassVar[str] = "limits"
    unit: ClassVar[str] = "the series' unit"
    fields: ClassVar[tuple[Field, ...]] = (Field(WINDOWS, "<u2"),)

    side: Literal["above", "below"] = "above"
    statistic: Literal["extreme", "mean", "last"] = "extreme"
    warm_up: int = field(default=0, kw_only=True)

    @property
    def sign(self) -> int:
        """1 above, -1 below."""
        return 1 if self.side == "above" else -1

    def step(self, state: State, features: Features) -> Judgement:
        """Return the statistic as the score."""
        extreme = features.maximum if self.side == "above" else features.minimum
        value = {"extreme": extreme, "mean": features.mean, "last": features.last}[self.statistic]
        windows = counted(state[WINDOWS], ~np.isnan(value))
        score = np.where(windows > self.warm_up, value, np.nan)
        return Judgement({WINDOWS: windows}, score, {"value": value})

    def describe(self, evidence: Mapping[str, float]) -> str:
        """Name the value."""
        what = {"extreme": "highest" if self.side == "above" else "lowest"}.get(self.statistic, self.statistic)
        return f"{what} value {evidence['value']:.6g}"
