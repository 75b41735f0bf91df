"""Detectors, one a file: arrays in, arrays out."""

from jobs.detectors.base import Detector, Features, Judgement, State
from jobs.detectors.drift import Drift
from jobs.detectors.limits import Limits
from jobs.detectors.missing import Missing
from jobs.detectors.score import Score
from jobs.detectors.silence import Silence
from jobs.detectors.stuck import Stuck

DETECTORS: dict[str, type[Detector]] = {one.name: one for one in (Limits, Score, Drift, Stuck, Missing, Silence)}
"""Every detector by the name that rules call it."""

__all__ = [
    "DETECTORS",
    "Detector",
    "Drift",
    "Features",
    "Judgement",
    "Limits",
    "Missing",
    "Score",
    "Silence",
    "State",
    "Stuck",
]
