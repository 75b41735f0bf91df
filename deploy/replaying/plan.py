"""When a recording is replayed and how fast: its span of event time, its windows, its clock, its stack's settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from connectors.kit.settings import (
    BridgeSettings,
    ClockSettings,
    FlinkSettings,
    InfluxSettings,
    MqttSettings,
    Settings,
    StackSettings,
    TimeSettings,
    TopicSettings,
)
from connectors.mqtt.check import YEAR_2000_MS
from connectors.wire.topics import DAY_MS
from jobs.detectors.base import Detector
from simulators.replay import Recording, RecordingError

SHARDS = 1
"""One gateway lies on one shard, whatever their number."""
STORES = ("mosquitto", "kafka", "influxd", "jobmanager", "taskmanager")
READERS = ("influxdb-writer", "job")
BRIDGE = "bridge"
"""It sets event time going, so it starts last. No notifier: what is years old is nobody's news. No monitor: it would
miss them."""

READINGS_A_WINDOW = 3
"""What a window holds by default: enough that one late or missing reading leaves it a mean."""
DISORDER_S = 8.0
"""The disorder bound in wall time: a pause of any process up to this makes nothing late."""
MOST_WINDOWS_A_SECOND = 100
MOST_READINGS_A_SECOND = 10_000
"""Well below what one gateway and one shard carry on a small machine: beyond it readings would come late."""
LEARNED = Detector.warm_up
"""Windows that each series learns in silence, by the shipped rules."""

_SECOND, _MINUTE, _HOUR = 1_000, 60_000, 3_600_000
_ROUND = (
    *(100, 200, 500),
    *(number * _SECOND for number in (1, 2, 5, 10, 15, 30)),
    *(number * _MINUTE for number in (1, 2, 5, 10, 15, 30)),
    *(number * _HOUR for number in (1, 2, 3, 6, 12, 24)),
)


@dataclass(frozen=True)
class ReplayPlan:
    """A replay on a stack of its own.

    Attributes
    ----------
    start_ms, end_ms
        Event time, on the grid: start of the first window, end of the last.
    window_ms
        Length of a window, which is a cell too.
    speed
        Event time a wall time.
    """

    start_ms: int
    end_ms: int
    window_ms: int
    speed: float

    @property
    def windows(self) -> int:
        """Number of windows."""
        return (self.end_ms - self.start_ms) // self.window_ms

    @property
    def disorder_ms(self) -> int:
        """Event time by which a reading may lag, a whole number of windows."""
        return max(1, ceil(DISORDER_S * 1000 * self.speed / self.window_ms)) * self.window_ms

    @property
    def last_heartbeat_ms(self) -> int:
        """The stamp that closes the last window, exactly."""
        return self.end_ms + self.disorder_ms

    @property
    def seconds(self) -> float:
        """Wall time from the first window's start to the last heartbeat."""
        return (self.last_heartbeat_ms - self.start_ms) / self.speed / 1000

    def notes(self) -> list[str]:
        """Return what a user should know before believing the result, one sentence each."""
        if self.windows > 3 * LEARNED:
            return []
        return [
            f"the recording has {self.windows} windows of {self.window_ms / 1000:g} s, and each series learns for "
            f"{LEARNED} in silence: what is found after so few says little; record longer or make windows shorter"
        ]


def make_plan(
    recordings: Sequence[Recording], *, window_ms: int | None = None, minutes: float = 1.0, shift_ms: int = 0
) -> ReplayPlan:
    """Plan a replay.

    Parameters
    ----------
    window_ms
        None takes one that usually holds three readings of a series.
    minutes
        Wall time for the recording. It takes longer where that is too fast to carry, and never longer than it took to
        record, unless it is.

    Raises
    ------
    RecordingError
        If its times can't be replayed.
    """
    first = min(int(recording.times[0]) for recording in recordings) + shift_ms
    last = max(int(recording.times[-1]) for recording in recordings) + shift_ms
    if first < YEAR_2000_MS:
        days = ceil((YEAR_2000_MS - first) / DAY_MS)
        raise RecordingError(
            f"the recording begins {_date(first)}, and readings from before the year 2000 are refused as a clock's "
            f"fault; move it by --shift-days {days} or more"
        )
    window = window_ms or usual_window_ms(recordings)
    start, end = first // window * window, (last // window + 1) * window
    readings = sum(recording.readings for recording in recordings)
    carried_s = max((end - start) / window / MOST_WINDOWS_A_SECOND, readings / MOST_READINGS_A_SECOND)
    seconds = max(min(minutes * 60, (end - start) / 1000), carried_s)
    return ReplayPlan(start, end, window, (end - start) / 1000 / seconds)


def usual_window_ms(recordings: Sequence[Recording]) -> int:
    """Return a round length that usually holds three readings of each series.

    Raises
    ------
    RecordingError
        If a recording has a single moment.
    """
    return max(round_up(READINGS_A_WINDOW * _interval_ms(recording)) for recording in recordings)


def _interval_ms(recording: Recording) -> float:
    steps = np.diff(np.unique(recording.times))
    if not steps.size:
        raise RecordingError(f"{recording.path}: all readings are of one moment; there is nothing to watch over time")
    return float(np.median(steps))


def round_up(milliseconds: float) -> int:
    """Return the smallest round length of time that is not shorter.

    >>> round_up(900_001), round_up(3), round_up(25 * 3_600_000) // 86_400_000
    (1800000, 100, 2)
    """
    return next((length for length in _ROUND if length >= milliseconds), ceil(milliseconds / DAY_MS) * DAY_MS)


def _date(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d}"


def clock_settings(plan: ReplayPlan, begins_at_ms: int) -> ClockSettings:
    """Return the clock that shows the start of the first window when the wall clock shows `begins_at_ms`."""
    return ClockSettings(origin_ms=plan.start_ms, started_at_ms=begins_at_ms, speed=plan.speed)


def replay_settings(plan: ReplayPlan, folder: Path) -> Settings:
    """Return the settings of the replay's own stack, but for ports and clock.

    Every section is given whole, so that neither the environment nor a `tidemark.toml` leads the replay to a stack that
    watches something real.
    """
    sections: dict[str, Any] = {
        "time": TimeSettings(
            grid_ms=plan.window_ms,
            window_ms=plan.window_ms,
            disorder_ms=plan.disorder_ms,
            future_limit_ms=plan.disorder_ms,
            skew_limit_ms=plan.disorder_ms,
        ),
        "mqtt": MqttSettings(reconnect_min_s=0.2, reconnect_max_s=1.0),
        "topics": TopicSettings(shards=SHARDS, keep_everything=True),
        # As in the demo: twice a gateway's longest reconnect delay, well below the disorder bound in wall time.
        "bridge": BridgeSettings(heartbeat_grace_ms=2_000, last_heartbeat_ms=plan.last_heartbeat_ms),
        "flink": FlinkSettings(parallelism=1),
        "influxdb": InfluxSettings(series=["*"]),
        # Old points are what this stack is for, so they are never too old.
        "stack": StackSettings(
            data=folder,
            parts=[*STORES, *READERS, BRIDGE],
            task_slots=1,
            short_lived=True,
            influx_retention_days=0,
        ),
    }
    defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
    return Settings(**(defaults | sections))
