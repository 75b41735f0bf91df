"""What a run found, as `report.json` has it, and whether it may end with success. Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.wire.alert import AlertEvent
from deploy.books.close import Books
from deploy.demo.plan import GRID_MS, Plan, replayed_labels
from deploy.demo.recordings import MACHINE, OTHERS, Recorded
from simulators.truth import Fault, FleetScore, LabelledScore, score_fleet, score_labels
from simulators.truth.score import raised

HOUR_MS = 3_600_000
LATENCY = (
    "wall time from when the clock passed a window's end plus the disorder bound, the earliest moment at which the "
    "window may be judged, to when a read-committed consumer had the alert event"
)


@dataclass(frozen=True)
class Measured:
    """What was measured while the demo ran.

    Attributes
    ----------
    first_acknowledged_s, first_judged_s
        From the start of the command; None if it never came.
    latencies_ms
        One an alert event; see `LATENCY`.
    at_peak_mib
        PSS by part at the moment of `peak_pss_mib`.
    cpu_seconds
        By part, when the books were closed.
    devices
        What the gateways' process said at its end.
    """

    seconds: float
    first_acknowledged_s: float | None
    first_judged_s: float | None
    latencies_ms: Sequence[float]
    peak_pss_mib: float
    at_peak_mib: dict[str, float]
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    devices: dict[str, Any] = field(default_factory=dict)
    notifications_delivered: int = 0


@dataclass(frozen=True)
class Findings:
    """How the alerts compare with the truth."""

    fleet: FleetScore
    recordings: dict[str, LabelledScore]
    silences: dict[str, int]

    @property
    def machine(self) -> LabelledScore:
        """The machine's."""
        return self.recordings[MACHINE.gateway]


def find(plan: Plan, faults: Sequence[Fault], events: Sequence[AlertEvent]) -> Findings:
    """Compare alerts with the fleet's truth and with the recordings' labelled windows."""
    fleet_gateways = {event.gateway for event in events} - {one.gateway for one in (MACHINE, *OTHERS)} - {""}
    fleet_gateways |= {fault.gateway for fault in faults}

    def labelled(one: Recorded) -> LabelledScore:
        return score_labels(replayed_labels(one, plan), events, one.key, GRID_MS, plan.end_ms)

    silences = Counter(event.gateway for event in raised(events) if event.gateway and not event.device)
    return Findings(
        fleet=score_fleet(faults, events, fleet_gateways, GRID_MS),
        recordings={one.gateway: labelled(one) for one in (MACHINE, *OTHERS)},
        silences=dict(silences),
    )


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least `share` of all don't exceed.

    >>> percentile([3.0, 1.0, 2.0], 0.5), percentile([], 0.5)
    (2.0, None)
    """
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1)


def make_report(
    plan: Plan, books: Books, findings: Findings, events: Sequence[AlertEvent], measured: Measured
) -> dict[str, Any]:
    """Return the report."""
    fleet = findings.fleet
    starts = raised(events)
    return {
        "seed": plan.seed,
        "sent": books.sent,
        "received": books.received,
        "judged": books.judged,
        "dead": books.dead,
        "late": books.late,
        "duplicates_dropped": books.duplicates,
        "lost": books.lost,
        "alerts_raised": len(starts),
        "alert_events": books.alert_events,
        "alert_duplicates": books.alert_duplicates,
        "influx_alerts": books.influx_alerts,
        "notifications_delivered": measured.notifications_delivered,
        "ids_equal": books.ids_equal,
        "recall": round(fleet.recall, 4),
        "recall_by_fault": {kind: round(share, 4) for kind, share in fleet.recall_by_fault.items()},
        "precision": round(fleet.precision, 4),
        "faults": fleet.faults,
        "false_alerts": len(fleet.false_alerts),
        "false_alerts_by_rule": dict(Counter(event.rule_id for event in fleet.false_alerts)),
        "median_delay_windows": percentile([float(delay) for delay in fleet.delay_windows], 0.5),
        "machine": recording_report(MACHINE, findings, plan),
        "recordings": {one.gateway: recording_report(one, findings, plan) for one in OTHERS},
        "system_alerts": dict(Counter(event.rule_id for event in starts if not event.gateway)),
        "latency_ms": {
            "p50": percentile(measured.latencies_ms, 0.5),
            "p99": percentile(measured.latencies_ms, 0.99),
            "events": len(measured.latencies_ms),
            "measured": LATENCY,
        },
        "peak_pss_mib": measured.peak_pss_mib,
        "at_peak_mib": measured.at_peak_mib,
        "cpu_seconds": measured.cpu_seconds,
        "first_acknowledged_s": measured.first_acknowledged_s,
        "first_judged_s": measured.first_judged_s,
        "seconds": round(measured.seconds, 1),
        "clock": {"start_ms": plan.start_ms, "end_ms": plan.end_ms, "speed": round(plan.speed, 1)},
        "devices": measured.devices,
        "books": books.as_json(),
        "failures": failures(books, findings),
    }


def recording_report(recorded: Recorded, findings: Findings, plan: Plan) -> dict[str, Any]:
    """Return how the rules did on a recorded series."""
    score = findings.recordings[recorded.gateway]
    return {
        "series": recorded.title,
        "file": recorded.file,
        "windows_total": score.windows_total,
        "windows_found": score.windows_found,
        "raised_inside": score.raised_inside,
        "raised_outside": score.raised_outside,
        "longest_active_hours": round(score.longest_active_ms / HOUR_MS, 2),
        "gateway_silences": findings.silences.get(recorded.gateway, 0),
        "shifted_days": plan.shifts[recorded.gateway],
    }


def failures(books: Books, findings: Findings) -> list[str]:
    """Return why the run must not end with success, one sentence each: something was lost, or nothing was found."""
    broken = [f"{one.name}: {one.count:,}, {one.detail}" for one in books.violations]
    if not books.sent:
        broken.append("nothing was sent")
    if books.in_outboxes:
        broken.append(f"{books.in_outboxes:,} readings are still in the gateways' outboxes")
    if books.dead_unidentified:
        broken.append(f"{books.dead_unidentified:,} dead letters belong to no known pack")
    if findings.fleet.faults and not findings.fleet.hits:
        broken.append("none of the simulated faults was found")
    if findings.machine.windows_total and not findings.machine.windows_found:
        broken.append("no alert was raised in any labelled window of the machine")
    return broken


@dataclass(frozen=True)
class Target:
    """What the shipped rules are expected to reach."""

    words: str
    met: bool


def targets(report: dict[str, Any]) -> list[Target]:
    """Return the expectations of a whole run, each with whether it was met."""
    machine, worst = report["machine"], min(report["recall_by_fault"].values(), default=0.0)
    wanted = max(0, machine["windows_total"] - 1)
    return [
        Target(f"recall {report['recall']:.3f}, at least 0.9", report["recall"] >= 0.9),
        Target(f"recall of the worst kind of fault {worst:.3f}, at least 0.8", worst >= 0.8),
        Target(f"precision {report['precision']:.3f}, at least 0.9", report["precision"] >= 0.9),
        Target(
            f"labelled windows of the machine found {machine['windows_found']}, at least {wanted}",
            machine["windows_found"] >= wanted,
        ),
        Target(
            f"{machine['raised_outside']} alerts on the machine outside of them, at most 11",
            machine["raised_outside"] <= 11,
        ),
        Target(
            f"longest alert of the machine {machine['longest_active_hours']:.1f} h, at most 72",
            machine["longest_active_hours"] <= 72,
        ),
        Target(f"late readings {report['late']:,}, none", report["late"] == 0),
        Target(f"peak memory {report['peak_pss_mib']:,.0f} MiB, under 5,120", report["peak_pss_mib"] < 5_120),
    ]
