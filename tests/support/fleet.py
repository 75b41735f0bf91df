"""A fleet of real device clients that produce a data set as time passes: committed to outboxes, sent, acknowledged."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from connectors.kit.clock import WallClock
from connectors.kit.settings import Settings
from connectors.wire.pack import Pack
from connectors.wire.partition import shard_of
from simulators.device import Broker, Device, DeviceLoop, DeviceOptions, Draft
from simulators.device.sender import SendLimits
from tests.support.observe import wait_until
from tests.support.offline import SITE
from tests.support.traffic import DataSet, Reading, pack_of

LIMITS = SendLimits(ack_timeout_ms=1_500, ack_timeout_max_ms=3_000, puback_timeout_ms=4_000)
"""Shorter than the disorder bound, so that what a broker lost is there again before its window is judged."""


def names_on_all_shards(prefix: str, shards: int, each: int = 1) -> list[str]:
    """Return gateway names, `each` a shard, in the order of shards."""
    found: dict[int, list[str]] = {shard: [] for shard in range(shards)}
    number = 0
    while any(len(names) < each for names in found.values()):
        name = f"{prefix}-{number}"
        names = found[shard_of(name, shards)]
        if len(names) < each:
            names.append(name)
        number += 1
    return [name for names in found.values() for name in names]


@dataclass(repr=False)
class Fleet:
    """Gateways with real device clients, each producing its own data set.

    Attributes
    ----------
    packs
        Gateway → the packs that its device committed.
    """

    settings: Settings
    folder: Path
    gateways: Sequence[str]
    start_ms: int
    windows: int
    packs_per_window: int = 5
    limits: SendLimits = LIMITS
    packs: dict[str, list[Pack]] = field(default_factory=dict)
    data: dict[str, DataSet] = field(default_factory=dict)

    def __post_init__(self) -> None:
        mqtt = self.settings.mqtt
        broker = Broker(
            mqtt.host,
            mqtt.port,
            keepalive_s=mqtt.keepalive_s,
            reconnect_min_s=mqtt.reconnect_min_s,
            reconnect_max_s=mqtt.reconnect_max_s,
        )
        clock, devices = WallClock(), []
        for gateway in self.gateways:
            options = DeviceOptions(
                SITE, gateway, self.folder / f"{gateway}.sqlite", self.limits, synchronous="OFF", ledger=True
            )
            device = Device(options, broker, clock, Random(gateway))
            data = DataSet(gateway, self.start_ms, self.windows, window_ms=self.settings.time.window_ms)
            device.declare(data.table)
            devices.append(device)
            self.data[gateway], self.packs[gateway] = data, []
        self.loop = DeviceLoop(devices)
        self._produced = threading.Event()
        self._thread = threading.Thread(target=self._produce, name="produce", daemon=True)

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.windows * self.settings.time.window_ms

    def boot(self, gateway: str) -> str:
        return self.loop.devices[list(self.gateways).index(gateway)].outbox.boot

    def acked(self, gateway: str) -> int:
        return self.loop.devices[list(self.gateways).index(gateway)].outbox.acked_seq

    def acked_packs(self) -> int:
        return sum(device.outbox.acked_seq for device in self.loop.devices)

    def committed_packs(self) -> int:
        return sum(device.outbox.last_seq for device in self.loop.devices)

    def publishes(self) -> int:
        """Return how many packs the broker has acknowledged or is about to; resent ones count again."""
        return sum(device.stats().publishes for device in self.loop.devices)

    def connections(self) -> int:
        return sum(device.stats().connections for device in self.loop.devices)

    def connect(self) -> None:
        """Let the devices reach the broker."""
        self.loop.start()

    def start(self, connect: bool = True) -> None:
        if connect:
            self.connect()
        self._thread.start()

    def burst(self, packs: int) -> None:
        """Commit many packs at once: copies of readings that were committed before, in packs of one under new numbers.

        They change no alert, because each repeats a reading of the current window.
        """
        for place, gateway in enumerate(self.gateways):
            last = self.packs[gateway][-1]
            readings = [
                Reading(int(last.base_ms + (offset or 0)), series, value or 0.0)
                for offset, series, value in zip(last.offsets_ms, last.series, last.values, strict=True)
            ]
            for number in range(packs):
                self.commit(place, [readings[number % len(readings)]])

    def commit(self, place: int, readings: Sequence[Reading]) -> None:
        """Commit readings of gateway number `place` as one pack."""
        gateway = self.gateways[place]
        table = self.data[gateway].table
        pack = pack_of(readings, "", 1, table)
        draft = Draft(pack.table, int(pack.base_ms), pack.offsets_ms, pack.series, pack.values)
        numbers = self.loop.submit(place, [draft])
        self.packs[gateway].append(pack_of(readings, self.boot(gateway), numbers[0], table))

    def _produce(self) -> None:
        """Commit each slice of each window once its time has come, as a gateway that samples does."""
        window_ms = self.settings.time.window_ms
        slice_ms = window_ms // self.packs_per_window
        for number in range(self.windows):
            readings = {place: self.data[gateway].window(number) for place, gateway in enumerate(self.gateways)}
            begin = self.start_ms + number * window_ms
            for part in range(self.packs_per_window):
                low, high = begin + part * slice_ms, begin + (part + 1) * slice_ms
                time.sleep(max(0.0, high / 1000 - time.time()))
                for place, rows in readings.items():
                    now = [row for row in rows if low <= row.time_ms < high]
                    if now:
                        self.commit(place, now)
        self._produced.set()

    def wait_produced(self) -> None:
        """Return when all readings are committed."""
        left_s = max(0.0, self.end_ms / 1000 - time.time())
        assert self._produced.wait(left_s + 20), "the fleet did not produce its readings in time"

    def wait_acknowledged(self, timeout_s: float = 30.0) -> None:
        """Return when every outbox is empty; the limit is longer than any restart plus a resend."""
        wait_until(self.loop.idle, timeout_s, "all packs to be acknowledged", self.describe)

    def describe(self) -> str:
        counts = [(device.options.gateway, device.outbox.counts()) for device in self.loop.devices]
        return ", ".join(
            f"{gateway}: {one.pending_packs} of {one.committed_packs} packs wait" for gateway, one in counts
        )

    @property
    def resent(self) -> int:
        return sum(device.stats().resent for device in self.loop.devices)


@contextmanager
def fleet(
    settings: Settings,
    folder: Path,
    gateways: Sequence[str],
    start_ms: int,
    windows: int,
    limits: SendLimits = LIMITS,
    connect: bool = True,
) -> Iterator[Fleet]:
    """Start a fleet, and stop it however the test ends."""
    one = Fleet(settings, folder, gateways, start_ms, windows, limits=limits)
    one.start(connect)
    try:
        yield one
    finally:
        one.loop.stop()
