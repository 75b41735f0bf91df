"""One replay on a stack of its own: start it, set its clock, send, wait for the last window, close the books."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.kit.clock import Clock
from connectors.wire.alert import AlertEvent
from connectors.wire.series import SeriesTable
from deploy.books.close import Books, close_books
from deploy.books.devices import enter_outboxes, outboxes_in
from deploy.books.entries import Entries
from deploy.books.influx import influx_event_ids
from deploy.books.read import enter_topics
from deploy.demo.progress import Progress
from deploy.demo.watch import Observations, Watcher
from deploy.local.ports import on_free_ports
from deploy.local.stack import Stack
from deploy.replaying.folder import OUTBOXES, take_folder
from deploy.replaying.plan import BRIDGE, READERS, SHARDS, STORES, ReplayPlan, clock_settings, replay_settings
from simulators.device import Device
from simulators.fleet.run import Gateways, broker_of, build_devices

LEAD_S = 3.0
"""From setting the clock to the first window: the bridge needs that long to start. It may take longer, for it gives
gateways a grace time before it moves event time on."""
JUDGED_S = 90.0
"""Beyond the last heartbeat: a job that judges no more must not be waited for for ever."""
SETTLE_S = 30.0
"""For InfluxDB to have the last alerts."""

Send = Callable[[list[Device], Clock], tuple[dict[str, Any], int]]
"""Sends everything, and returns a summary and an exit code: 0 once all is acknowledged."""


class ReplayFailed(Exception):
    """The replay could not be carried to its end; the message says why and where to look."""


@dataclass(frozen=True)
class Replayed:
    """What came of a replay. `books` is None where the sending was stopped: `sent` and `code` then tell of it."""

    stack: Stack
    sent: dict[str, Any]
    code: int
    books: Books | None = None
    events: Sequence[AlertEvent] = ()


@dataclass(frozen=True)
class Source:
    """What is replayed: a gateway at a site with its series."""

    site: str
    gateway: str
    table: SeriesTable


def replay(plan: ReplayPlan, folder: Path, source: Source, send: Send, say: Callable[[str], None]) -> Replayed:
    """Replay on a stack of its own in `folder`, which runs on afterwards, its clock past the recording's end.

    It is stopped if the replay doesn't come to its end.

    Raises
    ------
    ReplayFailed
        If the job doesn't judge it all in time.
    StackError
        If the folder is somebody else's, or the stack doesn't start.
    """
    settings = replay_settings(plan, folder)
    what = {"site": source.site, "gateway": source.gateway, "series": source.table.series, "plan": plan}
    take_folder(folder, settings, what)
    stack = Stack(on_free_ports(settings), folder, say)
    try:
        result = _replay(plan, stack, source, send, say)
    except BaseException:
        stack.stop()
        raise
    if result.code:
        stack.stop()
    return result


def _replay(plan: ReplayPlan, stack: Stack, source: Source, send: Send, say: Callable[[str], None]) -> Replayed:
    stack.start([*STORES, *READERS])
    # The bridge reads the clock when it starts, and the file is written when it does.
    begins_at_ms = int((time.time() + LEAD_S) * 1000)
    stack.settings = stack.settings.model_copy(update={"clock": clock_settings(plan, begins_at_ms)})
    stack.start([BRIDGE])
    setup = Gateways(site=source.site, outboxes=stack.folder / OUTBOXES, synchronous="NORMAL", ledger=True)
    clock = stack.settings.clock.build()
    devices = build_devices({source.gateway: source.table}, setup, broker_of(stack.settings.mqtt), clock)
    seen = Observations(SHARDS, plan.disorder_ms, Progress())
    watcher = Watcher(stack.settings.kafka, seen)
    watcher.start()
    try:
        say(f"replaying {plan.windows:,} windows of {plan.window_ms / 1000:g} s, {plan.seconds:.0f} s")
        sent, code = send(devices, clock)
        if code:
            return Replayed(stack, sent, code)
        say("waiting for the last windows")
        _wait(plan, begins_at_ms, seen, watcher)
        _settle(stack, seen)
    finally:
        watcher.stop()
    books, events = _books(stack, plan)
    return Replayed(stack, sent, 0, books, events)


def _wait(plan: ReplayPlan, begins_at_ms: int, seen: Observations, watcher: Watcher) -> None:
    deadline = begins_at_ms / 1000 + plan.seconds + JUDGED_S
    while seen.judged_to_ms < plan.end_ms:
        if watcher.error is not None:
            raise ReplayFailed(f"reading the results failed: {watcher.error}") from watcher.error
        if time.time() > deadline:
            raise ReplayFailed("the job did not judge the last window in time; tidemark logs tells more")
        time.sleep(0.05)


def _settle(stack: Stack, seen: Observations) -> None:
    """Wait until no alert comes any more and InfluxDB has them all; what it lacks then, the books name."""
    deadline = time.monotonic() + SETTLE_S
    before: set[str] | None = None
    while time.monotonic() < deadline:
        now = set(seen.event_ids)
        if now == before == set(influx_event_ids(stack.settings.influxdb)):
            return
        before = now
        # Longer than a checkpoint, after which the last alerts are visible: sinks commit one after the other.
        time.sleep(1.5)


def _books(stack: Stack, plan: ReplayPlan) -> tuple[Books, list[AlertEvent]]:
    entries = Entries()
    enter_outboxes(entries.with_devices(), outboxes_in(stack.folder / OUTBOXES))
    entries.influx_events = influx_event_ids(stack.settings.influxdb)
    events = enter_topics(entries, stack.settings.kafka)
    return close_books(entries, SHARDS, plan.window_ms), events
