"""What `tidemark simulate` and `tidemark replay` share: run gateways, drain, report, and the exit code."""

import json
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from connectors.kit.clock import Clock
from deploy.command.exits import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_TERMINATED,
    EXIT_UNREACHABLE,
    CommandFailed,
)
from simulators.device import Device, DeviceLoop, OutboxError, PackTooLarge
from simulators.fleet.packs import Dated
from simulators.fleet.run import RunResult, run, summary, totals


class Signals:
    """SIGINT and SIGTERM as an event; a second one ends the drain too."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.received: int | None = None
        self.hurry = False

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Take a signal."""
        self.hurry = self.received is not None
        self.received = number
        self.stop.set()

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Handle both signals within this block."""
        before = {number: signal.signal(number, self) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def send(devices: list[Device], packs: Iterable[Dated], clock: Clock, drain_s: float) -> tuple[dict[str, Any], int]:
    """Run the gateways to the end of `packs` or a signal, drain, and return the summary and the exit code.

    0 when all was acknowledged, 1 when something stays in an outbox after `drain_s`, 3 when the broker was never
    reached, 130 after Ctrl-C (which doesn't wait: the outboxes keep what is left), 143 after SIGTERM and the drain.

    Raises
    ------
    CommandFailed
        If an outbox takes no more (a full disk).
    """
    signals = Signals()
    before = totals(devices)
    loop = DeviceLoop(devices)
    started = time.monotonic()
    with signals.caught():
        loop.start()
        result = RunResult(0, 0, 0.0, finished=False)
        try:
            result = run(loop, packs, clock, signals.stop, _progress(devices))
            _drain(loop, signals, drain_s)
        except (OutboxError, PackTooLarge) as error:
            raise CommandFailed(str(error)) from error
        finally:
            acknowledged = loop.stop()
    _clear_progress()
    seconds = _until_last_ack(devices, started)
    report = summary(devices, before, result, seconds)
    return report, _code(signals.received, acknowledged, bool(report["connections"]))


def _drain(loop: DeviceLoop, signals: Signals, drain_s: float) -> None:
    """Wait for the last acks, after Ctrl-C not at all."""
    until = time.monotonic() + drain_s
    while not loop.idle() and loop.alive() and time.monotonic() < until:
        if signals.received == signal.SIGINT or signals.hurry:
            return
        time.sleep(0.02)


def _until_last_ack(devices: list[Device], started: float) -> float:
    """Seconds from the start to the last ack, or to now where something was never acknowledged."""
    last = [stat.last_ack_ms for device in devices if (stat := device.stats()).last_ack_ms is not None]
    if all(device.idle for device in devices) and last:
        return max(0.0, max(last) / 1000 - started)
    return time.monotonic() - started


def _code(received: int | None, acknowledged: bool, reached: bool) -> int:
    if received == signal.SIGINT:
        return EXIT_INTERRUPTED
    if received == signal.SIGTERM:
        return EXIT_TERMINATED
    if acknowledged:
        return EXIT_OK
    return EXIT_FAILURE if reached else EXIT_UNREACHABLE


def _progress(devices: list[Device]) -> Any:
    """Return a function that shows progress on a terminal, or None where standard error is none."""
    if not sys.stderr.isatty():
        return None

    def show(result: RunResult) -> None:
        now = totals(devices)
        rate = result.readings / result.seconds if result.seconds else 0.0
        ready = sum(device.stats().ready for device in devices)
        line = (
            f"{result.readings:,} readings sent ({rate:,.0f}/s), {now.pending_readings:,} in outboxes, "
            f"{ready}/{len(devices)} gateways connected"
        )
        sys.stderr.write(f"\r\x1b[2K{line}")
        sys.stderr.flush()

    return show


def _clear_progress() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[2K")
        sys.stderr.flush()


def show(report: dict[str, Any], as_json: bool) -> None:
    """Print the summary on standard output."""
    if as_json:
        sys.stdout.write(json.dumps(report) + "\n")
        return
    lines = [
        f"sent          {report['sent']:>14,} readings in {report['packs']:,} packs from {report['gateways']} gateways",
        f"acknowledged  {report['acknowledged']:>14,} readings",
        f"in outboxes   {report['in_outboxes']:>14,} readings",
        f"sent again    {report['packs_resent']:>14,} packs",
        f"took          {report['seconds']:>14,.1f} s until the last acknowledgement",
        f"rate          {report['sent_per_second']:>14,} readings/s sent, "
        f"{report['acknowledged_per_second']:,} readings/s acknowledged",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def complain(text: str) -> None:
    """Print an error for people."""
    sys.stderr.write(f"tidemark: {text}\n")
