"""What a finished demo found: from its InfluxDB where that runs, else from the sample that lies here."""

import csv
import gzip
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import msgspec
import numpy as np

from deploy.demo.plan import FLEET, GRID_MS, Plan
from deploy.demo.recordings import MACHINE
from deploy.local.layout import PROJECT
from notebooks.points import Alert, Influx, PointsError, Windows
from simulators.truth import FAULT_KINDS, Fault, read_truth

DEMO = PROJECT / "var" / "demo"
SAMPLE = Path(__file__).parent / "sample"
SHOWN_GATEWAY = f"{FLEET}-001"
"""The one simulated gateway whose windows the demo keeps in InfluxDB."""
AROUND = 48
"""Windows before and after a fault that is looked at: half a day."""

PLAN, TRUTH, ALERTS, WINDOWS = "plan.json", "truth.jsonl", "alerts.csv", "windows.csv.gz"
_WINDOW_COLUMNS = ("gateway", "device", "quantity", "start_ms", "mean", "minimum", "maximum", "score")

Series = tuple[str, str, str]
"""Gateway, device, quantity."""


@dataclass(frozen=True)
class Demo:
    """A finished run of the demo.

    Attributes
    ----------
    origin
        Where this comes from, for people.
    faults
        What was wrong with the simulated fleet.
    windows
        Returns the windows of a series.
    """

    origin: str
    plan: Plan
    faults: list[Fault]
    alerts: list[Alert]
    windows: Callable[[str, str, str], Windows]


def open_demo(folder: Path = DEMO, sample: Path = SAMPLE) -> Demo:
    """Return the demo that finished in `folder` if its InfluxDB runs, else the sample."""
    try:
        return running_demo(folder)
    except PointsError as error:
        plan, truth, alerts, windows = (sample / name for name in (PLAN, TRUTH, ALERTS, WINDOWS))
        kept = _read_windows(windows)
        origin = f"the shipped sample ({error})"
        return Demo(origin, _plan(plan), read_truth(truth), _read_alerts(alerts), lambda *series: kept[series])


def running_demo(folder: Path = DEMO) -> Demo:
    """Return the demo that finished in `folder`.

    Raises
    ------
    PointsError
        If none finished there, or its InfluxDB doesn't run.
    """
    if not (folder / "report.json").exists():
        raise PointsError(f"no demo finished in {_shown(folder)}; make demo KEEP=1 runs one")
    influx = Influx(folder / "settings.toml")
    alerts = influx.alerts()
    origin = f"the demo in {_shown(folder)}"
    return Demo(origin, _plan(folder / PLAN), read_truth(folder / TRUTH), alerts, influx.windows)


def _shown(folder: Path) -> Path:
    return folder.relative_to(PROJECT) if folder.is_relative_to(PROJECT) else folder


def _plan(path: Path) -> Plan:
    return msgspec.json.decode(path.read_bytes(), type=Plan)


def shown_faults(faults: Iterable[Fault]) -> list[Fault]:
    """Return a fault of each kind, of those whose series' windows are there; the first of each."""
    near = sorted((fault for fault in faults if fault.gateway == SHOWN_GATEWAY), key=lambda fault: fault.start_ms)
    firsts = {fault.kind: fault for fault in reversed(near)}
    return [firsts[kind] for kind in FAULT_KINDS if kind in firsts]


def fault_of(alert: Alert, faults: Iterable[Fault]) -> Fault | None:
    """Return the fault that an alert tells of: of the same series, raised in it or up to two windows after it."""
    series, grace_ms = (alert.gateway, alert.device, alert.quantity), 2 * GRID_MS
    return next(
        (
            fault
            for fault in faults
            if (fault.gateway, fault.device, fault.quantity) == series
            and fault.start_ms <= alert.raised_ms < fault.end_ms + grace_ms
        ),
        None,
    )


def write_sample(demo: Demo, folder: Path) -> None:
    """Write the little of a demo that `first_look` draws: the machine, a fault of each kind, every alert."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PLAN).write_bytes(msgspec.json.encode(demo.plan) + b"\n")
    (folder / TRUTH).write_bytes(b"".join(msgspec.json.encode(fault) + b"\n" for fault in demo.faults))
    with (folder / ALERTS).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Alert._fields)
        writer.writerows([_cell(value) for value in alert] for alert in demo.alerts)
    lines = [",".join(_WINDOW_COLUMNS), *_window_lines(demo)]
    # Without a time and a name in its header, the same content gives the same bytes.
    (folder / WINDOWS).write_bytes(gzip.compress("\n".join(lines).encode() + b"\n", mtime=0))


def _window_lines(demo: Demo) -> Iterable[str]:
    spans: dict[Series, list[tuple[int, int]]] = {MACHINE.key: [(demo.plan.start_ms, demo.plan.end_ms)]}
    for fault in shown_faults(demo.faults):
        around = AROUND * GRID_MS
        shown = (fault.start_ms - around, fault.end_ms + around)
        spans.setdefault((fault.gateway, fault.device, fault.quantity), []).append(shown)
    for series, wanted in spans.items():
        windows = demo.windows(*series)
        columns = (windows.mean, windows.minimum, windows.maximum, windows.score)
        for at, time_ms in enumerate(windows.start_ms.tolist()):
            if any(first <= time_ms < last for first, last in wanted):
                yield ",".join((*series, str(time_ms), *(_cell(float(column[at])) for column in columns)))


def _cell(value: str | float | None) -> str:
    """Return a cell: five digits are more than a picture shows."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _read_alerts(path: Path) -> list[Alert]:
    with path.open(newline="") as file:
        return [
            Alert(
                gateway=row["gateway"],
                device=row["device"],
                quantity=row["quantity"],
                rule=row["rule"],
                severity=row["severity"],
                raised_ms=int(row["raised_ms"]),
                cleared_ms=int(row["cleared_ms"]) if row["cleared_ms"] else None,
                value=float(row["value"]) if row["value"] else None,
                score=float(row["score"]) if row["score"] else None,
            )
            for row in csv.DictReader(file)
        ]


def _read_windows(path: Path) -> dict[Series, Windows]:
    rows: dict[Series, list[list[str]]] = {}
    with gzip.open(path, "rt", newline="") as file:
        lines = csv.reader(file)
        next(lines)
        for gateway, device, quantity, *numbers in lines:
            rows.setdefault((gateway, device, quantity), []).append(numbers)
    return {series: _windows(numbers) for series, numbers in rows.items()}


def _windows(rows: list[list[str]]) -> Windows:
    start, *columns = zip(*rows, strict=True)
    numbers = [np.array([float(cell) if cell else np.nan for cell in column]) for column in columns]
    return Windows(np.array(start, np.int64), *numbers)
