# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # First look
#
# What `make demo` found: the recorded temperature of an industrial machine that failed, and 200 simulated devices with
# known faults. After `make demo KEEP=1` this shows your run, from its InfluxDB; else a sample of one, which lies beside
# this notebook.

# %%
from collections import Counter
from typing import Any

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np

from deploy.demo.plan import GRID_MS, replayed_labels
from deploy.demo.recordings import MACHINE
from notebooks.demo import AROUND, fault_of, open_demo, shown_faults

demo = open_demo()
print(f"{len(demo.alerts)} alerts and {len(demo.faults)} simulated faults, from {demo.origin}")

# %%
LINE, SPAN, INSIDE, OUTSIDE = "#3b6ea5", "#f2c14e", "#2a9d5c", "#c8553d"
plt.rcParams.update(
    {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e4e7eb",
        "font.size": 9,
    }
)


def days(milliseconds: Any) -> Any:
    """Return event time as matplotlib takes it."""
    return np.asarray(milliseconds, dtype="datetime64[ms]")


def short_dates(axes: Any) -> None:
    """Label the time axis without repeating the year at each tick."""
    locator = mdates.AutoDateLocator(minticks=3, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))


# %% [markdown]
# ## The machine
#
# Yellow is what those who recorded it labelled as abnormal; the last is the failure. The rules know nothing of that,
# nor of machines: each series is compared with its own past, after it has been learned in silence for 100 windows. The
# demo moves the recording to the present; here it is back on its own dates.

# %%
windows = demo.windows(*MACHINE.key).with_gaps(GRID_MS)
labels = replayed_labels(MACHINE, demo.plan)
alerts = [alert for alert in demo.alerts if (alert.gateway, alert.device, alert.quantity) == MACHINE.key]


def recorded(time_ms: Any) -> Any:
    """Return times of the run on the dates of the recording."""
    return days(demo.plan.original_ms(MACHINE.gateway, np.asarray(time_ms, np.int64)))  # type: ignore[arg-type]


def is_labelled(raised_ms: int) -> bool:
    """Whether the window that raised an alert touches a labelled one."""
    return any(raised_ms <= last and raised_ms + GRID_MS > first for first, last in labels)


figure, axes = plt.subplots(figsize=(13, 4.5), layout="constrained")
axes.plot(recorded(windows.start_ms), windows.mean, color=LINE, linewidth=0.7, label=MACHINE.quantity)
for number, span in enumerate(labels):
    axes.axvspan(*recorded(span), color=SPAN, alpha=0.4, linewidth=0, label=None if number else "labelled as abnormal")
for wanted, color, name in ((True, INSIDE, "alert inside"), (False, OUTSIDE, "alert elsewhere")):
    mine = [alert for alert in alerts if is_labelled(alert.raised_ms) == wanted and alert.value is not None]
    axes.scatter(
        recorded([alert.raised_ms for alert in mine]),
        [alert.value for alert in mine],
        color=color,
        edgecolor="white",
        zorder=3,
        label=f"{name} ({len(mine)})",
    )
axes.set_title(MACHINE.title)
axes.set_ylabel("mean of a window of 15 minutes")
axes.legend(loc="lower center", ncols=4)
short_dates(axes)
plt.show()

# %% [markdown]
# ## The fleet
#
# Which rule found which kind of fault. A fault may be found by several rules; an alert that belongs to no fault counts
# under `no fault`.

# %%
of_fleet = [alert for alert in demo.alerts if alert.gateway.startswith("building-")]
found = [(alert, fault_of(alert, demo.faults)) for alert in of_fleet]
counts = Counter((str(fault.kind) if fault else "no fault", alert.rule) for alert, fault in found)
kinds = [*dict.fromkeys(sorted(fault.kind for fault in demo.faults)), "no fault"]
rules = sorted({alert.rule for alert in of_fleet})
colors = dict(zip(rules, plt.colormaps["tab10"].colors, strict=False))

figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
left = np.zeros(len(kinds))
for rule in rules:
    widths = np.array([counts[kind, rule] for kind in kinds])
    axes.barh(kinds, widths, left=left, label=rule, height=0.7, color=colors[rule])
    left += widths
axes.invert_yaxis()
axes.set_xlabel("alerts")
axes.legend(title="rule", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
plt.show()

known = {fault for _, fault in found}
missed = Counter(fault.kind for fault in demo.faults if fault not in known)
print(f"{len(demo.faults) - missed.total()} of {len(demo.faults)} faults found; missed: {dict(missed) or 'none'}")

# %% [markdown]
# ## One fault of each kind
#
# Half a day before the fault and after it. Blue is the mean of each window, pale its least and greatest reading; yellow
# is the fault; the lines are alerts, as long as they were active.

# %%
zoomed = shown_faults(demo.faults)
figure, rows = plt.subplots(len(zoomed), 1, figsize=(13, 2.2 * len(zoomed)), layout="constrained", squeeze=False)
for axes, fault in zip(rows[:, 0], zoomed, strict=True):
    series = (fault.gateway, fault.device, fault.quantity)
    around = AROUND * GRID_MS
    near = demo.windows(*series).between(fault.start_ms - around, fault.end_ms + around).with_gaps(GRID_MS)
    axes.fill_between(days(near.start_ms), near.minimum, near.maximum, color=LINE, alpha=0.2, linewidth=0)
    axes.plot(days(near.start_ms), near.mean, color=LINE, linewidth=1)
    axes.axvspan(days(fault.start_ms), days(fault.end_ms), color=SPAN, alpha=0.4, linewidth=0)
    mine = [alert for alert, its_fault in found if its_fault == fault]
    low, high = axes.get_ylim()
    for place, alert in enumerate(mine):
        height = high + (high - low) * 0.1 * (place + 1)
        end_ms = min(alert.cleared_ms or demo.plan.end_ms, fault.end_ms + around)
        label = f"{alert.rule}, {alert.severity}"
        axes.plot(days([alert.raised_ms, end_ms]), [height] * 2, linewidth=4, color=colors[alert.rule], label=label)
    axes.set_title(f"{fault.kind}: {fault.device}, {fault.quantity}", loc="left")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    short_dates(axes)
plt.show()
