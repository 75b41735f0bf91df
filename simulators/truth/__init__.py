"""Ground truth of a simulated fleet, and how alerts compare with it. Pure."""

from simulators.truth.fault import FAULT_KINDS, Fault, FaultKind, TruthError, read_truth, write_truth

__all__ = ["FAULT_KINDS", "Fault", "FaultKind", "TruthError", "read_truth", "write_truth"]
