"""How alerts compare with the truth. Pure: faults and alert events in, figures out."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from connectors.wire.alert import AlertEvent
from simulators.truth.fault import FAULT_KINDS, Fault

SeriesKey = tuple[str, str, str]
GRACE_WINDOWS = 2
"""An alert raised so many windows after a fault's end still belongs to it."""


@dataclass(frozen=True)
class FleetScore:
    """Figures of one run. `recall_by_fault` has an entry for each kind that occurred.

    Attributes
    ----------
    hits
        Faults found.
    missed
        Faults not found.
    false_alerts
        Alerts on the fleet that belong to no fault.
    precision
        hits / (hits + false alerts); 1 without either.
    delay_windows
        For each hit, windows from the fault's start to the raising window.
    """

    recall: float
    recall_by_fault: dict[str, float]
    precision: float
    faults: int
    hits: int
    false_alerts: list[AlertEvent]
    missed: list[Fault]
    delay_windows: list[int]


@dataclass(frozen=True)
class LabelledScore:
    """Figures of one recorded series with labelled windows."""

    windows_total: int
    windows_found: int
    raised_inside: int
    raised_outside: int
    longest_active_ms: int


def raised(events: Iterable[AlertEvent]) -> list[AlertEvent]:
    """Return the events that raised an alert, one an alert, by time."""
    first = {event.alert_id: event for event in events if event.transition == "raised"}
    return sorted(first.values(), key=lambda event: (event.raised_ms, event.alert_id))


def score_fleet(
    faults: Sequence[Fault], events: Iterable[AlertEvent], gateways: Collection[str], window_ms: int
) -> FleetScore:
    """Join faults and alerts.

    A fault is hit by an alert raised on the same series in a window between the fault's start and `GRACE_WINDOWS`
    windows after its end. Further alerts there count as neither; every other alert on one of `gateways` is false.
    System alerts, which have no gateway, are no part of it.
    """
    by_series: dict[SeriesKey, list[Fault]] = defaultdict(list)
    for fault in faults:
        by_series[fault.gateway, fault.device, fault.quantity].append(fault)
    found: dict[Fault, AlertEvent] = {}
    false_alerts: list[AlertEvent] = []
    for event in raised(events):
        if event.gateway not in gateways:
            continue
        near = by_series.get((event.gateway, event.device, event.quantity), [])
        owner = _belongs(near, event.raised_ms, window_ms)
        if owner is None:
            false_alerts.append(event)
        else:
            found.setdefault(owner, event)
    return _figures(faults, found, false_alerts, window_ms)


def _belongs(faults: Iterable[Fault], raised_ms: int, window_ms: int) -> Fault | None:
    grace = GRACE_WINDOWS * window_ms
    return next((fault for fault in faults if fault.start_ms <= raised_ms < fault.end_ms + grace), None)


def _figures(
    faults: Sequence[Fault], found: dict[Fault, AlertEvent], false_alerts: list[AlertEvent], window_ms: int
) -> FleetScore:
    total = len(faults)
    by_kind: dict[str, float] = {}
    for kind in FAULT_KINDS:
        of_kind = [fault for fault in faults if fault.kind == kind]
        if of_kind:
            by_kind[kind] = sum(fault in found for fault in of_kind) / len(of_kind)
    judged = len(found) + len(false_alerts)
    return FleetScore(
        recall=len(found) / total if total else 1.0,
        recall_by_fault=by_kind,
        precision=len(found) / judged if judged else 1.0,
        faults=total,
        hits=len(found),
        false_alerts=false_alerts,
        missed=[fault for fault in faults if fault not in found],
        delay_windows=[(event.raised_ms - fault.start_ms) // window_ms for fault, event in found.items()],
    )


def score_labels(
    labels: Sequence[tuple[int, int]], events: Iterable[AlertEvent], series: SeriesKey, window_ms: int, end_ms: int
) -> LabelledScore:
    """Compare one series' alerts with its labelled windows `(first_ms, last_ms)`, both ends included.

    An alert is inside when the window that raised it touches a labelled one. It is active from the start of that window
    to the end of the one that cleared it, or to `end_ms`, the end of the data.
    """
    own = [event for event in events if (event.gateway, event.device, event.quantity) == series]
    inside = set()
    found = set()
    starts = raised(own)
    for event in starts:
        for number, (first, last) in enumerate(labels):
            if event.raised_ms <= last and event.raised_ms + window_ms > first:
                found.add(number)
                inside.add(event.alert_id)
    return LabelledScore(
        windows_total=len(labels),
        windows_found=len(found),
        raised_inside=len(inside),
        raised_outside=len(starts) - len(inside),
        longest_active_ms=_longest(starts, own, end_ms),
    )


def _longest(starts: Iterable[AlertEvent], events: Iterable[AlertEvent], end_ms: int) -> int:
    cleared = {event.alert_id: event.window_end_ms for event in events if event.transition == "cleared"}
    return max((cleared.get(event.alert_id, end_ms) - event.raised_ms for event in starts), default=0)
