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
# # Your own data
#
# What would Tidemark have said about a series that you recorded? This replays a CSV file and draws the alerts. The next
# cell is the only one to change; as it stands, it makes a recording of an oven with four things wrong.
#
# The file: a header; a time column first, ISO 8601 (`2026-03-02 00:05:00`; without a zone it is UTC); then columns of
# numbers, where an empty field is no reading. Commas or semicolons, rows in any order, at any interval. Each series is
# learned in silence for 100 windows, of three readings each by default, so a thousand readings are a beginning.

# %%
from pathlib import Path

from deploy.local.layout import PROJECT
from notebooks.example import write_example

FOLDER = PROJECT / "var" / "own-data"  # for the replay; what an earlier one left there is deleted
RECORDING: Path = write_example(PROJECT / "var" / "oven.csv")  # for your own: Path("/where/it/is.csv")
DEVICE = "oven-1"
UNIT = "Cel"  # of SenML's registry, such as Cel, %RH, W, V, A, Pa, m/s; "" for none
MINUTES = 0.25  # that the replay takes, beside half a minute for the start; a long file takes longer

print(RECORDING.read_text()[:120] + "...")

# %% [markdown]
# ## Replay it
#
# A stack that runs in real time can't judge the past: its event time stands at now, so what was recorded last week
# comes late, and is kept but not judged. The command below therefore starts a stack of its own, on free ports, with a
# clock that begins where the recording does and runs faster. All else is as in real life: MQTT, Kafka, Flink, InfluxDB,
# the shipped rules. A stack that you have running is left alone.

# %%
import json
import shlex
import subprocess
import sys
from typing import Any

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np

from notebooks.points import Influx
from simulators.replay import read_recording

GATEWAY = "own"


def tidemark(*arguments: str) -> str:
    """Run a command, say what it says while it works, and return its answer."""
    print("tidemark", shlex.join(arguments))
    command = [sys.executable, "-m", "deploy.command.main", *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    print(done.stderr)
    if done.returncode:
        raise RuntimeError(f"the command failed with exit code {done.returncode}: {done.stdout}")
    return done.stdout


series = ["--gateway", GATEWAY, "--device", DEVICE, "--unit", UNIT]
replay = ["replay", str(RECORDING), *series, "--own-stack", str(FOLDER), "--minutes", str(MINUTES), "--json"]
report = json.loads(tidemark(*replay))
print(
    f"{report['sent']:,} readings, {report['judged']:,} judged in {report['windows']:,} windows, {report['late']} late"
)

# %% [markdown]
# ## What it found
#
# The points come from the replay's InfluxDB, where Grafana or anything else that reads InfluxDB finds them too. Shown
# are the mean of each window, pale its least and greatest reading, and each alert for as long as it was active.

# %%
influx = Influx(FOLDER / "settings.toml")
alerts = influx.alerts()
colors = dict(zip(sorted({alert.rule for alert in alerts}), plt.colormaps["tab10"].colors, strict=False))


def days(milliseconds: Any) -> Any:
    """Return event time as matplotlib takes it."""
    return np.asarray(milliseconds, dtype="datetime64[ms]")


def draw(axes: Any, quantity: str) -> None:
    """Draw a series and its alerts; those of the whole gateway are drawn with each series."""
    windows = influx.windows(GATEWAY, DEVICE, quantity).with_gaps(report["window_ms"])
    axes.fill_between(days(windows.start_ms), windows.minimum, windows.maximum, color="#3b6ea5", alpha=0.2, linewidth=0)
    axes.plot(days(windows.start_ms), windows.mean, color="#3b6ea5", linewidth=0.8)
    mine = [alert for alert in alerts if (alert.device, alert.quantity) in ((DEVICE, quantity), ("", ""))]
    for alert in mine:
        span = days([alert.raised_ms, alert.cleared_ms or report["end_ms"]])
        axes.axvspan(*span, color=colors[alert.rule], alpha=0.25, linewidth=0)
    for rule in sorted({alert.rule for alert in mine}):
        axes.plot([], [], color=colors[rule], alpha=0.4, linewidth=8, label=rule)
    axes.set_title(f"{DEVICE}, {quantity}", loc="left")
    if mine:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    locator = mdates.AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))


quantities = read_recording(RECORDING).columns
size = (13, 3.5 * len(quantities))
figure, rows = plt.subplots(len(quantities), 1, figsize=size, layout="constrained", squeeze=False, sharex=True)
for each, name in zip(rows[:, 0], quantities, strict=True):
    draw(each, name)
plt.show()

# %%
for one in report["alerts"]:
    print(days(one["raised_ms"]), one["severity"], one["rule"], one["quantity"] or "(the gateway)", one["detail"])

# %% [markdown]
# ## Stop it
#
# The replay's stack runs on until it is told to stop; leave this out to look around. Its addresses are in
# `settings.toml` in its folder.

# %%
print(tidemark("down", "--data", str(FOLDER)))
