"""A gateway as a process, to be killed: `python -m tests.support.device_program PORT OUTBOX`; commits until it ends."""

import sys
import time
from pathlib import Path
from random import Random

from connectors.kit.clock import WallClock
from connectors.wire.series import Series, series_table
from simulators.device import Broker, Device, DeviceLoop, DeviceOptions, Draft
from simulators.device.sender import SendLimits


def main() -> None:
    """Run until killed."""
    port, outbox = int(sys.argv[1]), Path(sys.argv[2])
    table = series_table((Series("press-1", "temperature", "Cel"), Series("press-1", "pressure", "Pa")))
    options = DeviceOptions(
        "site-1", "killed", outbox, SendLimits(ack_timeout_ms=500, ack_timeout_max_ms=500), ledger=True
    )
    broker = Broker(port=port, keepalive_s=5, reconnect_min_s=0.05, reconnect_max_s=0.2)
    device = Device(options, broker, WallClock(), Random())
    device.declare(table)
    loop = DeviceLoop([device])
    loop.start()
    print("ready", flush=True)
    while True:
        now = time.time_ns() // 1_000_000
        loop.submit(0, [Draft(table.id, now, [0, 1], [0, 1], [20.5, 101_325.0])] * 3)
        time.sleep(0.002)


if __name__ == "__main__":
    main()
