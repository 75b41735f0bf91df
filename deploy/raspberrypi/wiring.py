"""What the agent touches outside itself, in one place, so that recorded trees and dumps can stand in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.raspberrypi.bme280 import Bme280, OpenBus, open_smbus
from deploy.raspberrypi.board import BoardTemperature, BoardThrottling, Vcgencmd, run_vcgencmd
from deploy.raspberrypi.clock import BoardClock, kernel_synchronised
from deploy.raspberrypi.config import Config, device_of
from deploy.raspberrypi.ds18b20 import Ds18b20
from deploy.raspberrypi.sensor import Sensor


@dataclass(frozen=True)
class Wiring:
    """The board: root of its file system, its I²C buses, its firmware, its clock's state."""

    root: Path = Path("/")
    open_bus: OpenBus = open_smbus
    vcgencmd: Vcgencmd | None = run_vcgencmd
    synchronised: Callable[[], bool] = field(default=kernel_synchronised)

    def sensors(self, config: Config) -> list[Sensor]:
        """Return the sensors that the config names; none is touched."""
        found: list[Sensor] = [Ds18b20(self.root, one.id, device_of(one), one.quantity) for one in config.ds18b20]
        found += [Bme280(self.open_bus, one.bus, one.address, one.device) for one in config.bme280]
        if config.board.temperature:
            found.append(BoardTemperature(self.root, config.board.device))
        if config.board.throttling:
            found.append(self.throttling(config))
        return found

    def throttling(self, config: Config) -> BoardThrottling:
        """Return the board's throttling."""
        return BoardThrottling(self.root, config.board.device, self.vcgencmd)

    def clock(self, config: Config) -> BoardClock:
        """Return the clock."""
        marker = config.outbox.path.with_name("clock-synchronised")
        return BoardClock(config.clock.trust, marker, self.synchronised)
