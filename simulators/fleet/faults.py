"""Which faults a fleet gets, when, on which series: drawn once from a seed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from simulators.truth import FAULT_KINDS, FaultKind


@dataclass(frozen=True)
class FaultPlan:
    """How many faults of each kind, how long and how strong. All spans are in windows.

    Attributes
    ----------
    counts
        Faults of each kind on the whole fleet.
    warmup
        No fault before this window: detectors learn what is normal.
    gap
        Windows without a fault on a device between two of its faults, so that a detector can recover.
    tail
        No fault in the last windows, so that each can still be found after its end.
    magnitude
        Range of the strength, log-uniform, in standard deviations of a reading's noise.
    spans
        Range of the length of each kind, both ends included.
    ramp
        Range of the windows in which a drift reaches its strength, where it then stays to its end.
    """

    counts: Mapping[FaultKind, int]
    warmup: int = 160
    gap: int = 96
    tail: int = 6
    magnitude: tuple[float, float] = (5.0, 12.0)
    spans: Mapping[FaultKind, tuple[int, int]] = field(
        default_factory=lambda: {
            "spike": (1, 1),
            "shift": (6, 24),
            "drift": (12, 24),
            "stuck": (6, 24),
            "dropout": (6, 24),
        }
    )
    ramp: tuple[int, int] = (6, 12)

    @classmethod
    def default(cls, devices: int, kinds: tuple[FaultKind, ...] = FAULT_KINDS) -> "FaultPlan":
        """Return a plan with one fault of each kind for every 5 devices: 40 of each for 200.

        >>> FaultPlan.default(200).counts["drift"]
        40
        """
        each = -(-devices // 5)
        return cls(counts=dict.fromkeys(kinds, each))


@dataclass(frozen=True)
class Placed:
    """A fault in the fleet's own terms: `first` window, `count` windows, `ramp` windows until it is full.

    `level` is the fault's own standard normal draw: where a stuck value stands.
    """

    device: int
    series: int
    kind: FaultKind
    first: int
    count: int
    ramp: int
    magnitude: float
    level: float

    @property
    def end(self) -> int:
        """First window after the fault."""
        return self.first + self.count


def draw_faults(rng: np.random.Generator, devices: int, series: int, windows: int, plan: FaultPlan) -> list[Placed]:
    """Draw the faults of a fleet. At least half of the devices stay healthy.

    Raises
    ------
    ValueError
        If the plan doesn't fit into the windows, or the fleet is too small for any fault.
    """
    kinds = [kind for kind in FAULT_KINDS for _ in range(plan.counts.get(kind, 0))]
    if not kinds:
        return []
    if devices < 2:
        msg = "a fleet of one device can't have faults, because at least half of all devices stay healthy"
        raise ValueError(msg)
    order = rng.permutation(len(kinds))
    faulty = rng.permutation(devices)[: min(devices // 2, len(kinds))]
    dealt: dict[int, list[FaultKind]] = {int(device): [] for device in faulty}
    for place, which in enumerate(order):
        dealt[int(faulty[place % len(faulty)])].append(kinds[which])
    drawer = _Drawer(rng, series, windows, plan)
    placed = [fault for device, own in dealt.items() for fault in drawer.spread(device, own)]
    return sorted(placed, key=lambda fault: (fault.first, fault.device, fault.series))


@dataclass(frozen=True)
class _Drawer:
    """Places faults on one device after another."""

    rng: np.random.Generator
    series: int
    windows: int
    plan: FaultPlan

    def spread(self, device: int, kinds: list[FaultKind]) -> list[Placed]:
        """Spread a device's faults over its windows, at least `gap` apart."""
        plan, rng = self.plan, self.rng
        counts = [int(rng.integers(plan.spans[kind][0], plan.spans[kind][1] + 1)) for kind in kinds]
        needed = plan.warmup + sum(counts) + plan.gap * (len(kinds) - 1) + plan.tail
        if needed > self.windows:
            msg = f"{len(kinds)} faults on a device need {needed} windows (warm-up, gaps and tail), not {self.windows}"
            raise ValueError(msg)
        starts = np.sort(rng.integers(0, self.windows - needed + 1, size=len(kinds)))
        placed = []
        before = plan.warmup
        for kind, count, slack in zip(kinds, counts, starts, strict=True):
            placed.append(self._one(device, kind, before + int(slack), count))
            before += count + plan.gap
        return placed

    def _one(self, device: int, kind: FaultKind, first: int, count: int) -> Placed:
        rng, plan = self.rng, self.plan
        strength = math.exp(rng.uniform(math.log(plan.magnitude[0]), math.log(plan.magnitude[1])))
        sign = 1.0 if rng.random() < 0.5 else -1.0
        ramp = int(rng.integers(plan.ramp[0], plan.ramp[1] + 1))
        return Placed(
            device=device,
            series=int(rng.integers(self.series)),
            kind=kind,
            first=first,
            count=count,
            ramp=min(ramp, count) if kind == "drift" else 0,
            magnitude=0.0 if kind in {"stuck", "dropout"} else sign * strength,
            level=float(rng.standard_normal()),
        )
