"""A gateway from which nothing comes any more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from jobs.detectors.missing import Missing


@dataclass(frozen=True)
class Silence(Missing):
    """How long a gateway has been silent, in units of the silence that it may have.

    The rows of its arrays are gateways, and `count` is the sum over the gateway's series. Otherwise as `Missing`;
    all series of a gateway missing at once is so one alert.

    Assumes that a gateway reports at intervals of its own. Cost: some 15 array operations. State: 8 bytes a gateway.

    Parameters
    ----------
    intervals, windows_at_least, forget_after_windows
        As for `Missing`.

    References
    ----------
    As for `Missing`.

    Examples
    --------
    >>> import numpy as np
    >>> from jobs.detectors.base import Features
    >>> detector = Silence(warm_up=5)
    >>> state = detector.initial(1)
    >>> for value in [20.0] * 10 + [np.nan] * 3:
    ...     features = Features.of_gateways(np.array([0 if np.isnan(value) else 1]), True)
    ...     state, score, evidence = detector.step(state, features)
    >>> score
    array([1.])
    """

    name: ClassVar[str] = "silence"
    axis: ClassVar[Literal["series", "gateway"]] = "gateway"

    def describe(self, evidence: Mapping[str, float]) -> str:
        """Say how long it was silent."""
        return "nothing from the gateway for {silent:.0f} windows".format(**evidence)
