"""The picture of a run: a recorded series on its own dates, the labelled windows, and the alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from connectors.wire.alert import AlertEvent
from connectors.wire.topics import DAY_MS
from deploy.demo.plan import GRID_MS, Plan, replayed, replayed_labels
from deploy.demo.recordings import Recorded
from simulators.truth import raised

INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
SERIES, LABEL = "#3b6ea5", "#f2c14e"
INSIDE, OUTSIDE = "#2a9d5c", "#c8553d"


@dataclass(frozen=True)
class Shown:
    """An alert as it is drawn: event time, `[start_ms, end_ms)` while active."""

    rule: str
    start_ms: int
    end_ms: int
    inside: bool
    value: float | None


def shown_alerts(recorded: Recorded, plan: Plan, events: Sequence[AlertEvent]) -> list[Shown]:
    """Return the alerts of a recorded series, by start."""
    own = [event for event in events if (event.gateway, event.device, event.quantity) == recorded.key]
    cleared = {event.alert_id: event.window_end_ms for event in own if event.transition == "cleared"}
    spans = replayed_labels(recorded, plan)
    return [
        Shown(
            rule=event.rule_id,
            start_ms=event.raised_ms,
            end_ms=cleared.get(event.alert_id, plan.end_ms),
            inside=any(event.raised_ms <= last and event.raised_ms + GRID_MS > first for first, last in spans),
            value=event.value,
        )
        for event in raised(own)
    ]


def draw(recorded: Recorded, plan: Plan, events: Sequence[AlertEvent], path: Path) -> None:
    """Draw the picture into `path`, a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    alerts = shown_alerts(recorded, plan, events)
    moved = plan.shifts[recorded.gateway] * DAY_MS
    with plt.rc_context({"font.size": 10, "axes.edgecolor": GRID, "text.color": INK, "axes.labelcolor": INK}):
        figure, (above, below) = plt.subplots(
            2, 1, figsize=(14, 6.4), dpi=130, sharex=True, height_ratios=(5, 1), layout="constrained"
        )
        _series(above, recorded, plan, moved)
        _labels(above, below, recorded, plan, moved)
        _alerts(above, below, alerts, moved)
        _finish(figure, above, below, recorded, alerts)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, facecolor="white")
        plt.close(figure)


def _days(milliseconds: Any) -> Any:
    return np.asarray(milliseconds, dtype="datetime64[ms]")


def _series(axes: Any, recorded: Recorded, plan: Plan, moved: int) -> None:
    data = replayed(recorded, plan)
    axes.plot(
        _days(data.times - moved), data.values[:, 0], color=SERIES, linewidth=0.7, label=recorded.quantity, zorder=2
    )


def _labels(above: Any, below: Any, recorded: Recorded, plan: Plan, moved: int) -> None:
    for number, (first, last) in enumerate(replayed_labels(recorded, plan)):
        name = None if number else "labelled as abnormal"
        above.axvspan(_days(first - moved), _days(last - moved), color=LABEL, alpha=0.35, lw=0, label=name, zorder=0)
        below.axvspan(_days(first - moved), _days(last - moved), color=LABEL, alpha=0.35, lw=0, zorder=0)


def _alerts(above: Any, below: Any, alerts: Sequence[Shown], moved: int) -> None:
    rules = sorted({alert.rule for alert in alerts})
    for inside, color, name in ((True, INSIDE, "alert inside a labelled window"), (False, OUTSIDE, "alert outside")):
        mine = [alert for alert in alerts if alert.inside == inside]
        if not mine:
            continue
        marked = [alert for alert in mine if alert.value is not None]
        starts = _days([alert.start_ms - moved for alert in marked])
        values = [alert.value for alert in marked]
        label = f"{name} ({len(mine)})"
        above.scatter(starts, values, s=46, color=color, edgecolor="white", linewidth=0.8, label=label, zorder=4)
        for alert in mine:
            row = rules.index(alert.rule)
            span = _days([alert.start_ms - moved, alert.end_ms - moved])
            below.plot(span, [row, row], color=color, linewidth=7, solid_capstyle="butt", zorder=3)
            below.plot(span[:1], [row], marker="|", markersize=11, color=color, zorder=4)
    below.set_yticks(range(len(rules)), rules)
    below.set_ylim(len(rules) - 0.4, -0.6)


def _finish(figure: Any, above: Any, below: Any, recorded: Recorded, alerts: Sequence[Shown]) -> None:
    import matplotlib.dates as mdates

    for axes in (above, below):
        axes.grid(axis="x" if axes is below else "both", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=MUTED, length=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
    above.set_ylabel(recorded.quantity + (f" ({recorded.unit})" if recorded.unit else ""))
    above.margins(x=0.01)
    above.legend(loc="lower center", frameon=True, framealpha=0.92, edgecolor=GRID)
    below.set_ylabel("active")
    locator = mdates.AutoDateLocator(minticks=6, maxticks=12)
    below.xaxis.set_major_locator(locator)
    below.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    found = sum(alert.inside for alert in alerts)
    above.set_title(
        f"{recorded.title[0].upper()}{recorded.title[1:]}: {len(alerts)} alerts, {found} in labelled windows",
        loc="left",
        fontsize=13,
        fontweight="bold",
    )
    figure.text(
        0.005, 0.005, f"Numenta Anomaly Benchmark, {recorded.file}", ha="left", va="bottom", fontsize=7.5, color=MUTED
    )
