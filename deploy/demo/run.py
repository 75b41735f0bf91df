"""One run of the demo, from an empty folder to the report. The order of things is here; what they do is elsewhere."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from connectors.kit.clock import ScaledClock
from connectors.wire.alert import AlertEvent
from deploy.books.close import Books, close_books
from deploy.books.devices import enter_outboxes, outboxes_in
from deploy.books.entries import Entries
from deploy.books.influx import influx_event_ids
from deploy.books.read import enter_topics
from deploy.demo.memory import Sampler
from deploy.demo.plan import DISORDER_MS, GRID_MS, SHARDS, Plan, clock_settings, demo_settings
from deploy.demo.plot import draw
from deploy.demo.processes import Child
from deploy.demo.progress import Progress
from deploy.demo.recordings import MACHINE
from deploy.demo.report import Measured, find, make_report
from deploy.demo.subscriber import Subscriber
from deploy.demo.view import View
from deploy.demo.watch import Observations, Watcher
from deploy.local.effective import to_toml, write_private
from deploy.local.part import TOPICS
from deploy.local.ports import on_free_ports
from deploy.local.stack import Stack
from simulators.truth import read_truth

LEAD_S = 4.0
"""From setting the clock to the first window, at least: the bridge and the gateways need that long to start. Later is
no harm up to the disorder bound (9 s), because gateways keep what they read meanwhile."""
LEAD_SHARE = 0.25
"""A machine that took long to bring up Kafka takes long for the bridge too: this share of it is the lead, if longer."""
READERS = ("influxd", "influxdb-writer", "notifier", "monitor")
"""They only read what the job has written, and lose nothing by starting after it: their start would take the CPU that
the bridge and the job start with."""
READERS_WAIT_S = 60.0
"""For the first judgement; should it not come, its absence is found elsewhere."""
SETTLE_S = 60.0
"""After the last window was judged: for InfluxDB and the subscriber to have the last alerts."""
STUCK_S = 90.0
"""Beyond the last heartbeat, or the stack's start if that is later: a run that takes longer must end by itself."""


class DemoFailed(Exception):
    """The run could not be carried to its end; the message says why and where to look."""


@dataclass(frozen=True)
class Outcome:
    """A finished run: its report, and where the stack is."""

    report: dict[str, Any]
    folder: Path
    stack: Stack


def run(plan: Plan, folder: Path, view: View, progress: Progress, *, began_ms: float, keep: bool = False) -> Outcome:
    """Run the demo in `folder`, whose content is deleted; stop the stack at the end unless `keep`.

    Parameters
    ----------
    began_ms
        Wall time at which the command started: what `first_…_s` in the report is measured from.

    Raises
    ------
    DemoFailed, SubscriberFailed
        If a process of the demo ends early, or the end is not reached in time.
    StackError
        If the stack doesn't start.
    """
    stack = _empty_stack(plan, folder, view.say)
    demo = _Run(plan, stack, view, progress, began_ms)
    if not keep:
        with stack:
            return demo.whole()
    return demo.whole()


def _empty_stack(plan: Plan, folder: Path, say: Callable[[str], None]) -> Stack:
    kept = Stack(demo_settings(plan, folder), folder, say)
    if kept.is_up():
        say("stopping the stack of an earlier run")
        kept.stop()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    return Stack(on_free_ports(demo_settings(plan, folder)), folder, say)


class _Run:
    """The run's parts and the threads that look at them."""

    def __init__(self, plan: Plan, stack: Stack, view: View, progress: Progress, began_ms: float) -> None:
        self._plan = plan
        self._stack = stack
        self._folder = stack.folder
        self._view = view
        self._progress = progress
        self._began_ms = began_ms
        self._seen = Observations(SHARDS, DISORDER_MS, progress)
        self._watcher = Watcher(stack.settings.kafka, self._seen)
        self._sampler = Sampler(self._pids)
        self._subscriber = Subscriber(self._folder, stack.settings_file)
        self._devices: Child | None = None
        self._devices_said: dict[str, Any] = {}
        self._clock: ScaledClock | None = None
        self._clock_lock = threading.Lock()
        self._over = threading.Event()

    def whole(self) -> Outcome:
        """Do everything, and leave nothing of the demo's own running."""
        ticker = threading.Thread(target=self._tick, name="view", daemon=True)
        ticker.start()
        try:
            self._subscriber.start()
            self._sampler.start()
            self._start()
            self._flow()
            return self._close()
        finally:
            self._over.set()
            ticker.join()
            self._watcher.stop()
            self._sampler.stop()
            if self._devices is not None:
                self._devices.stop()
            self._subscriber.stop()

    # Starting

    def _start(self) -> None:
        """Start the stack; as soon as the topics are there, set the clock and start the gateways. Readers come last."""
        for name, part in self._stack.parts.items():
            if TOPICS in part.needs:
                self._stack.parts[name] = replace(part, launch=self._after_clock(part.launch))
        starter = threading.Thread(target=self._go_when_ready, name="go", daemon=True)
        starter.start()
        self._progress.stage = "starting the stack"
        wanted = self._stack.settings.stack.parts
        self._stack.start([name for name in wanted if name not in READERS])
        starter.join()
        self._wait_for_judgement()
        self._stack.start([name for name in wanted if name in READERS])

    def _wait_for_judgement(self) -> None:
        deadline = time.monotonic() + READERS_WAIT_S
        while self._seen.first_judged_ms is None and time.monotonic() < deadline:
            self._check_alive()
            time.sleep(0.1)

    def _after_clock(self, launch: Callable[[], Any]) -> Callable[[], Any]:
        """Services read the settings when they start, so the clock is in the file before the first of them does."""

        def launch_with_clock() -> Any:
            with self._clock_lock:
                if self._clock is None:
                    self._set_clock()
            return launch()

        return launch_with_clock

    def _set_clock(self) -> None:
        now_ms = time.time() * 1000
        at_ms = int(now_ms + max(LEAD_S * 1000, LEAD_SHARE * (now_ms - self._began_ms)))
        clock = clock_settings(self._plan, at_ms)
        self._stack.settings = self._stack.settings.model_copy(update={"clock": clock})
        write_private(self._stack.settings_file, to_toml(self._stack.settings))
        self._seen.clock = ScaledClock(self._plan.start_ms, at_ms, self._plan.speed)
        self._watcher.start()
        log = self._folder / "log" / "gateways.log"
        self._devices = Child(
            "deploy.demo.devices", [str(self._folder)], self._stack.settings_file, log, self._devices_heard
        )
        self._clock = self._seen.clock

    def _go_when_ready(self) -> None:
        """Let the gateways send once the bridge listens: what it can't hear yet would be sent again seconds later."""
        while not self._over.is_set():
            devices = self._devices
            if devices is not None and self._devices_said.get("ready") and self._stack.healthy("bridge"):
                devices.tell("go")
                self._progress.stage = "running"
                return
            time.sleep(0.05)

    def _devices_heard(self, said: dict[str, Any]) -> None:
        self._devices_said = {**self._devices_said, **said}
        if "sent" in said:
            self._progress.update(sent=said["sent"], acknowledged=said["acknowledged"])

    # Running

    def _flow(self) -> None:
        """Wait until everything is sent, judged and delivered."""
        deadline = self._deadline_s()
        self._wait("the gateways' last acknowledgement", deadline, lambda: self._devices_said.get("done") is True)
        self._progress.stage = "the last windows"
        self._wait("the last window", deadline, lambda: self._seen.judged_to_ms >= self._plan.end_ms)
        self._progress.stage = "waiting for InfluxDB and the subscriber"
        self._settle()

    def _deadline_s(self) -> float:
        clock = self._require_clock()
        ahead_ms = clock.wall_ms(self._plan.last_heartbeat_ms) - time.time() * 1000
        return time.monotonic() + max(0.0, ahead_ms) / 1000 + STUCK_S

    def _require_clock(self) -> ScaledClock:
        if self._clock is None:
            raise DemoFailed("the stack started without its services")
        return self._clock

    def _wait(self, what: str, deadline_s: float, done: Callable[[], bool]) -> None:
        while not done():
            self._check_alive()
            if time.monotonic() > deadline_s:
                raise DemoFailed(f"{what} did not come in time; the logs are in {self._folder / 'log'}")
            time.sleep(0.1)

    def _check_alive(self) -> None:
        if self._watcher.error is not None:
            raise DemoFailed(f"reading the results failed: {self._watcher.error}") from self._watcher.error
        if self._devices is not None and self._devices.ended() is not None and not self._devices_said.get("done"):
            raise DemoFailed(f"the gateways ended early:\n{self._devices.log_tail()}")
        if problem := self._subscriber.problem():
            raise DemoFailed(problem)

    def _settle(self) -> None:
        """Wait until no event comes any more and both readers have all; what they lack then, the books name."""
        deadline = time.monotonic() + SETTLE_S
        before: set[str] = set()
        while time.monotonic() < deadline:
            self._check_alive()
            now = set(self._seen.event_ids)
            if now == before and now == set(influx_event_ids(self._stack.settings.influxdb)) == self._subscriber.ids():
                return
            before = now
            # Longer than a checkpoint, after which the last events are visible.
            time.sleep(1.5)

    # Ending

    def _close(self) -> Outcome:
        self._progress.stage = "closing the books"
        self._view.say("closing the books")
        books, events = self._books()
        self._sampler.sample()
        self._over.set()
        truth = read_truth(self._folder / "truth.jsonl")
        findings = find(self._plan, truth, events)
        report = make_report(self._plan, books, findings, events, self._measured())
        (self._folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
        draw(MACHINE, self._plan, events, self._folder / "machine_temperature.png")
        return Outcome(report, self._folder, self._stack)

    def _books(self) -> tuple[Books, list[AlertEvent]]:
        entries = Entries()
        enter_outboxes(entries.with_devices(), outboxes_in(self._folder / "outboxes"))
        entries.influx_events = influx_event_ids(self._stack.settings.influxdb)
        entries.webhook_events = sorted(self._subscriber.ids())
        events = enter_topics(entries, self._stack.settings.kafka)
        return close_books(entries, SHARDS, GRID_MS), events

    def _measured(self) -> Measured:
        return Measured(
            seconds=time.time() - self._began_ms / 1000,
            first_acknowledged_s=self._since_start(self._devices_said.get("first_ack_ms")),
            first_judged_s=self._since_start(self._seen.first_judged_ms),
            latencies_ms=list(self._seen.latencies_ms),
            peak_pss_mib=self._sampler.peak_mib,
            at_peak_mib=self._sampler.at_peak_mib,
            cpu_seconds=self._sampler.cpu_seconds() | {"gateways": self._devices_said.get("cpu_seconds", 0.0)},
            devices={name: value for name, value in self._devices_said.items() if name not in ("ready", "done")},
            notifications_delivered=len(self._subscriber.ids()),
        )

    def _since_start(self, wall_ms: float | None) -> float | None:
        return None if wall_ms is None else round((wall_ms - self._began_ms) / 1000, 1)

    # Looking

    def _pids(self) -> dict[str, Sequence[int]]:
        import os

        groups: dict[str, Sequence[int]] = {name: pids for name, pids in self._stack.pids().items()}
        groups["demo"] = [os.getpid()]
        if self._devices is not None:
            groups["gateways"] = [self._devices.process.pid]
        groups["subscriber"] = self._subscriber.pids()
        return groups

    def _lag_s(self, now_ms: int) -> float:
        """Return since when, in wall time, the next window could have been judged; 0 after the last."""
        judged_to_ms = max(self._seen.judged_to_ms, self._plan.start_ms)
        if judged_to_ms >= self._plan.end_ms:
            return 0.0
        return max(0.0, (now_ms - judged_to_ms - GRID_MS - DISORDER_MS) / self._plan.speed / 1000)

    def _tick(self) -> None:
        while not self._over.wait(0.25):
            clock = self._clock
            if clock is not None:
                self._progress.update(event_ms=clock.now_ms(), lag_s=self._lag_s(clock.now_ms()))
            self._view.tick()
