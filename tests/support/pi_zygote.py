"""Agents to be killed, forked from one process that has everything loaded: a start takes milliseconds.

Reads a JSON object a line: `config`, `root`, `witness` (a file to which a child adds each sequence number that it was
told is committed), and `kill_after_s` (from outside, by the clock) or `kill_at_step` (by itself, before step number so
many: a statement of SQLite's, a reading, a packet given to or taken from MQTT). Answers `{"status", "steps"}` when the
child has ended: the signal as a negative number, or its exit code. Without an order to kill, a child ends by itself
when it has seen `until_acked` packs acknowledged.
"""

import json
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import bme280
import smbus2

from deploy.raspberrypi import rounds, run
from deploy.raspberrypi.main import command
from simulators.device import link, loop, outbox
from tests.support.pi_program import wiring

_LOADED = (bme280, smbus2, run)
"""What the agent imports when it is needed is loaded before the fork."""

_LIMIT_S = 10.0


class Steps:
    """Counts steps, and kills the process before the one that was ordered."""

    def __init__(self, order: int | None) -> None:
        self.done = 0
        self._order = order
        self._mutex = threading.Lock()

    def __call__(self, *_: object) -> None:
        with self._mutex:
            self.done += 1
            if self.done == self._order:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str) -> None:
        """Make calls of a method two steps: before it and after it."""
        whole: Callable[..., Any] = getattr(owner, name)

        def stepped(*arguments: Any, **named: Any) -> Any:
            self()
            result = whole(*arguments, **named)
            self()
            return result

        setattr(owner, name, stepped)


def _instrument(steps: Steps, witness: str, until_acked: int | None) -> None:
    connect = sqlite3.connect

    def traced(*arguments: Any, **named: Any) -> sqlite3.Connection:
        db = connect(*arguments, **named)
        db.set_trace_callback(steps)
        return db

    outbox.sqlite3.connect = traced  # type: ignore[assignment]
    steps.around(rounds.Rounds, "take")
    for name in ("open", "publish", "subscribe", "read"):
        steps.around(link.Link, name)
    submit = loop.DeviceLoop.submit

    def witnessed(self: loop.DeviceLoop, place: int, drafts: list[Any]) -> range:
        numbers = submit(self, place, drafts)
        with open(witness, "a") as file:
            file.writelines(f"{seq} {len(draft.values)}\n" for seq, draft in zip(numbers, drafts, strict=True))
        return numbers

    loop.DeviceLoop.submit = witnessed  # type: ignore[method-assign]
    acknowledge = outbox.Outbox.acknowledge

    def counted(self: outbox.Outbox, boot: str, seq: int) -> int:
        left = acknowledge(self, boot, seq)
        steps()
        if until_acked is not None and self.acked_seq >= until_acked:
            os.kill(os.getpid(), signal.SIGTERM)
        return left

    outbox.Outbox.acknowledge = counted  # type: ignore[method-assign]


def _child(order: dict[str, Any], report: int) -> int:
    steps = Steps(order.get("kill_at_step"))
    _instrument(steps, order["witness"], order.get("until_acked"))
    try:
        return command(["run", "--config", order["config"], "--root", order["root"]], wiring())
    finally:
        os.write(report, str(steps.done).encode())


def _turn(order: dict[str, Any]) -> dict[str, int]:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        code = 70
        try:
            code = _child(order, write_end)
        finally:
            os._exit(code)
    os.close(write_end)
    limit_s = order.get("kill_after_s", _LIMIT_S)
    until = time.monotonic() + limit_s
    done, status = 0, 0
    while not done and time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0 if done else 0.002)
    if not done:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    with os.fdopen(read_end) as file:
        steps = file.read()
    return {"status": os.waitstatus_to_exitcode(status), "steps": int(steps or -1)}


def main() -> None:
    """Serve until standard input ends."""
    for line in sys.stdin:
        print(json.dumps(_turn(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
