"""A value that no longer changes although it used to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Stuck(Detector):
    """How improbable it is, in decimal digits, that a series stood still for so many windows.

    A window is flat if all its readings equal the last one of the window before. The share of flat windows is
    learned; a run of n flat windows has the surprise -n·log10(share). A sensor that rests often (a door, a coarse
    converter) so needs a much longer run than one that never repeats a value.

    Assumes that flat windows come independently. Cost: some 15 array operations. State: 16 bytes a series.

    Parameters
    ----------
    memory
        Windows that the share of flat windows remembers.
    shortest
        Flat windows below which the score is 0, however improbable.

    References
    ----------
    WMO-No. 8, Guide to Instruments and Methods of Observation (2018), vol. V ch. 1: persistence test. The share in
    place of a fixed time is ours.

    Examples
    --------
    >>> detector = Stuck(warm_up=100)
    >>> state = detector.initial(1)
    >>> for value in [20.0, 20.1, 19.9] * 50 + [20.5] * 5:
    ...     state, score, evidence = detector.step(state, Features.of_readings(np.array([[value], [value]])))
    >>> round(float(score[0]), 1)
    8.8
    """

    name: ClassVar[str] = "stuck"
    unit: ClassVar[str] = "decimal digits of improbability"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("last", "<f8", np.nan),
        Field("run", "<u2"),
        Field("flat", "<f4"),
        Field(WINDOWS, "<u2"),
    )

    memory: float = 5_000.0
    shortest: int = 3

    def problems(self) -> list[str]:
        """The memory is at least two windows, the shortest run at least one."""
        wrong = [] if self.memory >= 2 else [f"memory {self.memory} is below 2"]
        return super().problems() + wrong + ([] if self.shortest >= 1 else [f"shortest {self.shortest} is below 1"])

    def step(self, state: State, features: Features) -> Judgement:
        """Lengthen or end the run of flat windows."""
        there = ~np.isnan(features.mean)
        known = there & ~np.isnan(state["last"])
        flat = known & (features.minimum == features.maximum) & (features.first == state["last"])
        longer = np.minimum(state["run"].astype(np.int64) + 1, MOST_WINDOWS)
        run = np.where(flat, longer, np.where(known, 0, state["run"]))
        windows = counted(state[WINDOWS], known)
        share, weight = self._learned(state, flat, known, windows)
        digits = -np.log10((share + weight) / (1.0 + 2.0 * weight))
        surprise = np.where(run >= self.shortest, run * digits, 0.0)
        after: State = {
            "last": np.where(there, features.last, state["last"]),
            "run": run.astype("<u2"),
            "flat": share.astype("<f4"),
            WINDOWS: windows,
        }
        score = np.where(known & (windows > self.warm_up), bounded(surprise), np.nan)
        return Judgement(after, score, {"value": features.last, "run": run.astype(np.float64), "share": share})

    def _learned(self, state: State, flat: Bools, known: Bools, windows: NDArray[np.uint16]) -> tuple[Floats, Floats]:
        """Return the share of flat windows and a window's weight in it.

        A run counts when it ends, so that it doesn't make itself probable while it lasts.
        """
        weight = np.maximum(1.0 / self.memory, 1.0 / np.maximum(windows, 1))
        share = state["flat"].astype(np.float64)
        after_run = 1.0 - (1.0 - share) * (1.0 - weight) ** state["run"]
        return np.where(known & ~flat, after_run * (1.0 - weight), share), weight

    def describe(self, evidence: Mapping[str, float]) -> str:
        """Say how long it stood."""
        what = "stands at {value:.6g} for {run:.0f} windows; usually {share:.2%} of its windows are flat"
        return what.format(**evidence)
