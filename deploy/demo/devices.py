"""The demo's gateways, a process of its own: `python -m deploy.demo.devices FOLDER`, with `TIDEMARK_SETTINGS` set.

It prepares the fleet and the replays, connects, says `{"ready": true}` on stdout, waits for a line on stdin, and sends.
On stdout it tells its progress, one JSON object a line, the last with `"done": true`.
"""

import heapq
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from connectors.kit.settings import load_settings
from connectors.wire.series import SeriesTable
from deploy.demo.plan import GRID_MS, SITE, Plan, demo_fleet, replayed
from deploy.demo.recordings import RECORDED
from simulators.device import Device, DeviceLoop
from simulators.device.loop import monotonic_ms
from simulators.fleet import Fleet
from simulators.fleet.packs import Dated, cell_packs
from simulators.fleet.run import Gateways, RunResult, broker_of, build_devices, run, summary, totals
from simulators.replay import replay_packs
from simulators.truth import write_truth

DRAIN_S = 60.0
"""Long enough for a bridge that restarts; what is not acknowledged then is reported as still in the outboxes."""


def gateways(fleet: Fleet) -> dict[str, SeriesTable]:
    """Return every gateway's table, replays first."""
    return {one.gateway: one.table for one in RECORDED} | {one.name: one.table for one in fleet.gateways}


def all_packs(plan: Plan, fleet: Fleet) -> Iterator[Dated]:
    """Yield the packs of all gateways in the order in which they fall due; a pack a cell."""
    replays = [
        replay_packs([replayed(one, plan)], one.table, grid_ms=GRID_MS, gateway=place)
        for place, one in enumerate(RECORDED)
    ]
    return heapq.merge(*replays, cell_packs(fleet, len(RECORDED)), key=attrgetter("due_ms"))


def tell(**fields: Any) -> None:
    """Print one line of progress."""
    print(json.dumps(fields), flush=True)


def first_ack_wall_ms(devices: list[Device]) -> float | None:
    """Return the wall time of the first acknowledgement that any gateway saw."""
    seen = [at for device in devices if (at := device.stats().first_ack_ms) is not None]
    return time.time() * 1000 - (monotonic_ms() - min(seen)) if seen else None


def main(folder: Path) -> int:
    """Run the gateways of the plan in `folder`; returns 0 if everything was acknowledged."""
    settings = load_settings()
    plan = msgspec.json.decode((folder / "plan.json").read_bytes(), type=Plan)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # A Ctrl-C at the terminal is for the demo, which then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    clock = settings.clock.build()
    fleet = demo_fleet(plan)
    write_truth(folder / "truth.jsonl", fleet.faults)
    setup = Gateways(site=SITE, outboxes=folder / "outboxes", synchronous="NORMAL", ledger=True, seed=plan.seed)
    devices = build_devices(gateways(fleet), setup, broker_of(settings.mqtt), clock)
    loop = DeviceLoop(devices)
    loop.start()
    tell(ready=True)
    sys.stdin.readline()
    before = totals(devices)
    began = time.monotonic()

    def progress(result: RunResult) -> None:
        tell(
            sent=result.readings,
            acknowledged=totals(devices).acknowledged_readings,
            first_ack_ms=first_ack_wall_ms(devices),
        )

    result = run(loop, all_packs(plan, fleet), clock, stop, progress)
    progress(result)
    first_ack = first_ack_wall_ms(devices)
    drained = loop.stop(drain_s=DRAIN_S)
    counts = summary(devices, before, result, time.monotonic() - began)
    counts |= {"cpu_seconds": round(time.process_time(), 1), "fleet": fleet.describe()}
    tell(done=True, first_ack_ms=first_ack or first_ack_wall_ms(devices), **counts)
    return 0 if drained and result.finished else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
