"""What a run of the demo does and when: its span of event time, its clock, its settings."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from connectors.kit.settings import (
    BridgeSettings,
    ClockSettings,
    FlinkSettings,
    InfluxSettings,
    MqttSettings,
    NotifierSettings,
    Settings,
    StackSettings,
    TimeSettings,
    TopicSettings,
)
from connectors.wire.topics import DAY_MS
from deploy.demo.recordings import MACHINE, OTHERS, RECORDED, Recorded, Span, labels, recording
from simulators.fleet import FaultPlan, Fleet
from simulators.replay import Recording, days_to_shift

GRID_MS = 15 * 60_000
WEEK_MS = 7 * DAY_MS
DISORDER_MS = 3 * DAY_MS
"""72 hours of event time: some 9 s of the demo, so that a pause of any process makes nothing late."""
AGE_MS = 4 * DAY_MS
"""The last reading lies so far before the run: the clock then ends a day before it, so no stamp is ahead of time."""
WHOLE_WEEKS = 11
SHARDS = 4
DEVICES, SERIES, READINGS_PER_WINDOW, DEVICES_PER_GATEWAY = 200, 2, 3, 20
SITE = "demo"
FLEET = "building"
"""First part of the simulated gateways' names: `building-001` … lie evenly on the four shards."""
PARALLELISM = 1


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the demo.

    Attributes
    ----------
    seed
        Of the simulated fleet.
    start_ms, end_ms
        Event time of the whole run, on the grid: start of the first window, end of the last.
    speed
        Event time a wall time.
    shifts
        Gateway → whole days by which its recording is moved.
    """

    seed: int
    start_ms: int
    end_ms: int
    speed: float
    shifts: dict[str, int]

    @property
    def windows(self) -> int:
        """Windows of a shard."""
        return (self.end_ms - self.start_ms) // GRID_MS

    @property
    def last_heartbeat_ms(self) -> int:
        """The stamp that closes the last window, exactly."""
        return self.end_ms + DISORDER_MS

    @property
    def seconds(self) -> float:
        """Wall time from the first window's start to the last heartbeat."""
        return (self.last_heartbeat_ms - self.start_ms) / self.speed / 1000

    def original_ms(self, gateway: str, time_ms: int) -> int:
        """Return a time of the run on the dates of the gateway's recording."""
        return time_ms - self.shifts.get(gateway, 0) * DAY_MS


def seed_of_the_day(now_ms: int) -> int:
    """Return the date as a number.

    >>> seed_of_the_day(0)
    19700101
    """
    return int(datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%d"))


def make_plan(now_ms: int, seed: int | None = None, weeks: int = WHOLE_WEEKS, minutes: float = 4.0) -> Plan:
    """Plan a run.

    Parameters
    ----------
    weeks
        How much of the machine's recording, from its start; 11 is all of it, three days more.
    minutes
        Wall time for that. The clock's speed follows, never so fast that 72 hours pass in under 2 s.

    Raises
    ------
    ValueError
        If weeks or minutes can't be.
    """
    if not 1 <= weeks <= WHOLE_WEEKS:
        raise ValueError(f"weeks is {weeks}; the machine was recorded for {WHOLE_WEEKS}")
    if minutes <= 0:
        raise ValueError(f"minutes is {minutes}")
    times = recording(MACHINE).times
    first, last = int(times[0]), int(times[-1])
    if weeks < WHOLE_WEEKS:
        last = int(times[times < first + weeks * WEEK_MS][-1])
    days = days_to_shift(last, now_ms - AGE_MS)
    start = (first + days * DAY_MS) // GRID_MS * GRID_MS
    end = ((last + days * DAY_MS) // GRID_MS + 1) * GRID_MS
    # A day more than it takes to end by then: a recording that ended earlier would look like a silent gateway.
    ends = {one.gateway: days_to_shift(int(recording(one).times[-1]), end - 1) + 1 for one in OTHERS}
    speed = min((end - start) / (minutes * 60_000), DISORDER_MS / 2_000)
    seed = seed_of_the_day(now_ms) if seed is None else seed
    return Plan(seed=seed, start_ms=start, end_ms=end, speed=speed, shifts={MACHINE.gateway: days} | ends)


def replayed(recorded: Recorded, plan: Plan) -> Recording:
    """Return what the run replays of a recording, moved to the run's dates."""
    whole = recording(recorded)
    times = whole.times + plan.shifts[recorded.gateway] * DAY_MS
    kept = (times >= plan.start_ms) & (times < plan.end_ms)
    return replace(whole, times=times[kept], values=whole.values[kept])


def replayed_labels(recorded: Recorded, plan: Plan) -> list[Span]:
    """Return the labelled windows that lie in the run, at least in part, on the run's dates."""
    moved = plan.shifts[recorded.gateway] * DAY_MS
    spans = [(first + moved, last + moved) for first, last in labels(recorded)]
    return [(first, last) for first, last in spans if first < plan.end_ms and last >= plan.start_ms]


def demo_fleet(plan: Plan) -> Fleet:
    """Return the simulated fleet of the run, with its faults."""
    return Fleet(
        seed=plan.seed,
        devices=DEVICES,
        series=SERIES,
        readings_per_window=READINGS_PER_WINDOW,
        window_ms=GRID_MS,
        windows=plan.windows,
        start_ms=plan.start_ms,
        devices_per_gateway=DEVICES_PER_GATEWAY,
        faults=FaultPlan.default(DEVICES),
        gateway_prefix=FLEET,
    )


def clock_settings(plan: Plan, first_window_at_ms: int) -> ClockSettings:
    """Return the clock that shows the start of the first window when the wall clock shows `first_window_at_ms`."""
    return ClockSettings(origin_ms=plan.start_ms, started_at_ms=first_window_at_ms, speed=plan.speed)


def demo_settings(plan: Plan, folder: Path) -> Settings:
    """Return the settings of the demo's own stack, but for ports and clock.

    Every section is given whole, so that neither the environment nor a `tidemark.toml` leads the demo elsewhere.
    """
    selected = [f"{SITE}/{one.gateway}/*" for one in RECORDED] + [f"{SITE}/{FLEET}-001/*"]
    sections: dict[str, Any] = {
        "time": TimeSettings(
            grid_ms=GRID_MS,
            window_ms=GRID_MS,
            disorder_ms=DISORDER_MS,
            future_limit_ms=DISORDER_MS,
            skew_limit_ms=DISORDER_MS,
        ),
        "mqtt": MqttSettings(reconnect_min_s=0.2, reconnect_max_s=1.0),
        "topics": TopicSettings(shards=SHARDS, keep_everything=True),
        # Twice a gateway's longest reconnect delay, and well below the disorder bound in wall time (9 s): while no
        # heartbeat comes, a silent partition's watermark stands.
        "bridge": BridgeSettings(heartbeat_grace_ms=2_000, last_heartbeat_ms=plan.last_heartbeat_ms),
        "flink": FlinkSettings(parallelism=PARALLELISM),
        "influxdb": InfluxSettings(series=selected),
        "notifier": NotifierSettings(subscriptions_file=folder / "subscriptions.yaml"),
        "stack": StackSettings(data=folder, task_slots=PARALLELISM, short_lived=True),
    }
    defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
    return Settings(**(defaults | sections))
