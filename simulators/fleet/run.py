"""Running simulated gateways: each pack is committed when the injected clock has passed its time."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from connectors.kit.clock import Clock, ScaledClock
from connectors.kit.settings import MqttSettings
from connectors.wire.series import SeriesTable
from simulators.device import Broker, Device, DeviceLoop, DeviceOptions
from simulators.device.draft import Draft, Encoding
from simulators.device.outbox import Counts, Synchronous
from simulators.device.sender import SendLimits
from simulators.fleet.packs import Dated

_BATCH_PACKS = 2_000
"""Packs committed in one round, so that a backlog doesn't starve the sending thread or the stop signal."""

_SHORTEST_WAIT_S = 0.005
"""Packs that fall due within this share a transaction."""

_LONGEST_WAIT_S = 0.25
"""A stepped clock is noticed within this."""


@dataclass(frozen=True)
class Gateways:
    """How the simulated gateways are set up."""

    site: str = "site-1"
    outboxes: Path = Path("var/simulate")
    synchronous: Synchronous = "FULL"
    ledger: bool = False
    encoding: Encoding = "msgpack"
    window: int = 64
    ack_timeout_ms: int = 5_000
    seed: int = 0


@dataclass(frozen=True)
class RunResult:
    """What was committed to the outboxes, and in how long; `finished` unless it was stopped before the end."""

    packs: int
    readings: int
    seconds: float
    finished: bool


def broker_of(mqtt: MqttSettings) -> Broker:
    """Return the settings' broker as the device client takes it."""
    return Broker(
        host=mqtt.host,
        port=mqtt.port,
        username=mqtt.username,
        password=mqtt.secret(),
        tls=mqtt.tls,
        ca_file=mqtt.ca_file,
        keepalive_s=mqtt.keepalive_s,
        reconnect_min_s=mqtt.reconnect_min_s,
        reconnect_max_s=mqtt.reconnect_max_s,
    )


def build_devices(tables: Mapping[str, SeriesTable], setup: Gateways, broker: Broker, clock: Clock) -> list[Device]:
    """Open one device for each gateway name, in order, with its series table declared.

    Raises
    ------
    OutboxError
        If an outbox can't be opened; those opened before are closed.
    """
    devices: list[Device] = []
    try:
        for place, (name, table) in enumerate(tables.items()):
            options = DeviceOptions(
                site=setup.site,
                gateway=name,
                outbox=setup.outboxes / f"{setup.site}.{name}.sqlite",
                limits=SendLimits(
                    window=setup.window,
                    ack_timeout_ms=setup.ack_timeout_ms,
                    ack_timeout_max_ms=8 * setup.ack_timeout_ms,
                ),
                synchronous=setup.synchronous,
                ledger=setup.ledger,
                encoding=setup.encoding,
            )
            device = Device(options, broker, clock, Random(setup.seed * 1_000_003 + place))
            devices.append(device)
            device.declare(table)
    except Exception:
        for device in devices:
            device.close()
        raise
    return devices


def run(
    loop: DeviceLoop,
    packs: Iterable[Dated],
    clock: Clock,
    stop: threading.Event,
    progress: Callable[[RunResult], None] | None = None,
) -> RunResult:
    """Commit each pack to its gateway's outbox once the clock has passed its time, until the end or `stop`.

    `packs` come in order of time; `Dated.gateway` is a place in `loop.devices`. `progress` is called about four times a
    second. Raises what an outbox raises (a full disk), and `RuntimeError` if the sending thread died.
    """
    started = time.monotonic()
    told = started
    sent = readings = 0
    stream = iter(packs)
    ahead = next(stream, None)
    while ahead is not None and not stop.is_set():
        now_ms = clock.now_ms()
        batches: dict[int, list[Draft]] = {}
        taken = 0
        while ahead is not None and ahead.due_ms <= now_ms and taken < _BATCH_PACKS:
            batches.setdefault(ahead.gateway, []).append(ahead.draft)
            readings += len(ahead.draft.values)
            taken += 1
            ahead = next(stream, None)
        for place, drafts in batches.items():
            loop.submit(place, drafts)
        sent += taken
        if not loop.alive():
            msg = "the sending thread has died"
            raise RuntimeError(msg)
        if progress and time.monotonic() - told >= _LONGEST_WAIT_S:
            told = time.monotonic()
            progress(RunResult(sent, readings, told - started, finished=False))
        if ahead is not None and taken < _BATCH_PACKS:
            stop.wait(_wait_s(clock, ahead.due_ms))
    return RunResult(sent, readings, time.monotonic() - started, finished=ahead is None)


def _wait_s(clock: Clock, due_ms: int) -> float:
    """Return for how long to wait, in wall time."""
    speed = clock.speed if isinstance(clock, ScaledClock) else 1.0
    return min(max((due_ms - clock.now_ms()) / speed / 1000, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)


def totals(devices: Sequence[Device]) -> Counts:
    """Return the books of all outboxes together."""
    counts = [device.outbox.counts() for device in devices]
    return Counts(
        committed_packs=sum(count.committed_packs for count in counts),
        acknowledged_packs=sum(count.acknowledged_packs for count in counts),
        committed_readings=sum(count.committed_readings for count in counts),
        acknowledged_readings=sum(count.acknowledged_readings for count in counts),
    )


def summary(devices: Sequence[Device], before: Counts, result: RunResult, seconds: float) -> dict[str, Any]:
    """Return what a run did: all counts are readings unless they say packs; `before` are the books at its start.

    `seconds` is from the start until the last ack or the end of the drain.
    """
    after = totals(devices)
    stats = [device.stats() for device in devices]
    sent = after.committed_readings - before.committed_readings
    acknowledged = after.acknowledged_readings - before.acknowledged_readings
    return {
        "sent": sent,
        "acknowledged": acknowledged,
        "in_outboxes": after.pending_readings,
        "in_outboxes_before": before.pending_readings,
        "packs": after.committed_packs - before.committed_packs,
        "packs_resent": sum(stat.resent for stat in stats),
        "connections": sum(stat.connections for stat in stats),
        "refused": sum(stat.refused for stat in stats),
        "failures": sum(stat.failures for stat in stats),
        "gateways": len(devices),
        "seconds_sending": round(result.seconds, 3),
        "seconds": round(seconds, 3),
        "sent_per_second": round(sent / result.seconds) if result.seconds else 0,
        "acknowledged_per_second": round(acknowledged / seconds) if seconds else 0,
        "finished": result.finished,
    }
