"""A seeded, vectorised fleet of simulated devices: signals, faults, and their truth."""

from simulators.fleet.faults import FaultPlan
from simulators.fleet.fleet import Fleet, Gateway

__all__ = ["FaultPlan", "Fleet", "Gateway"]
