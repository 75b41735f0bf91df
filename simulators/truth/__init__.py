"""Ground truth of a simulated fleet, and how alerts compare with it. Pure."""

from simulators.truth.fault import FAULT_KINDS, Fault, FaultKind, TruthError, read_truth, write_truth
from simulators.truth.score import FleetScore, LabelledScore, raised, score_fleet, score_labels

__all__ = [
    "FAULT_KINDS",
    "Fault",
    "FaultKind",
    "FleetScore",
    "LabelledScore",
    "TruthError",
    "raised",
    "read_truth",
    "score_fleet",
    "score_labels",
    "write_truth",
]
