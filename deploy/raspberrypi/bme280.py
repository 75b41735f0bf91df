"""BME280 on I²C: temperature, humidity, pressure. RPi.bme280 reads the calibration and compensates by the data sheet.

What it doesn't do is done here: is it that chip, has it measured, and is the result one that it can measure.
"""

import errno
from collections.abc import Callable
from typing import Any, Protocol

from deploy.raspberrypi.sensor import Fault, Quantities, Reason, Value, within

BME280_ID = 0x60
_ID_REGISTER = 0xD0
_NEVER_MEASURED = 0x80000
"""What the registers of temperature and pressure hold after a reset (data sheet, 5.4.7 and 5.4.8)."""
_NO_ANSWER = {errno.ENXIO, errno.EREMOTEIO, errno.EIO, errno.ETIMEDOUT}


class I2cBus(Protocol):
    """What is used of `smbus2.SMBus`."""

    def read_byte_data(self, i2c_addr: int, register: int) -> int:
        """Read a register."""
        ...

    def read_word_data(self, i2c_addr: int, register: int) -> int:
        """Read two registers, the lower one first."""
        ...

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> list[int]:
        """Read some registers."""
        ...

    def write_byte_data(self, i2c_addr: int, register: int, value: int) -> None:
        """Write a register."""
        ...

    def close(self) -> None:
        """Close the bus."""
        ...


OpenBus = Callable[[int], I2cBus]


def open_smbus(number: int) -> I2cBus:
    """Open `/dev/i2c-<number>`. Raises `OSError`."""
    from smbus2 import SMBus

    bus: I2cBus = SMBus(number)
    return bus


class Bme280:
    """One sensor. The bus is opened when it is read, and anew after anything that failed."""

    quantities: Quantities = (("temperature", "Cel"), ("humidity", "%RH"), ("pressure", "Pa"))

    def __init__(self, open_bus: OpenBus, number: int, address: int, device: str) -> None:
        self.device = device
        self._open_bus, self._number, self._address = open_bus, number, address
        self._bus: I2cBus | None = None
        self._calibration: Any = None

    @property
    def place(self) -> str:
        """Where it is."""
        return f"BME280 on bus {self._number} at 0x{self._address:02x}"

    def read(self) -> list[Value | Fault]:
        """Have it measure once (about 20 ms), and read."""
        try:
            bus = self._bus = self._bus or self._open_bus(self._number)
            chip = bus.read_byte_data(self._address, _ID_REGISTER)
            if chip != BME280_ID:
                return self._failed("wrong-chip", f"chip id 0x{chip:02x}, a BME280 has 0x{BME280_ID:02x}")
            return self._sample(bus)
        except OSError as error:
            return self._failed(_reason(error), error.strerror or str(error))

    def _sample(self, bus: I2cBus) -> list[Value | Fault]:
        import bme280

        if self._calibration is None:
            self._calibration = bme280.load_calibration_params(bus, self._address)
            # The data sheet's table 16 has it unsigned, the library signed.
            self._calibration["dig_H3"] &= 0xFF
        sample = bme280.sample(bus, self._address, self._calibration)
        raw = sample.uncompensated
        if _NEVER_MEASURED in (raw.temperature, raw.pressure):
            return self._failed("not-ready", "it has not measured since its reset")
        # The ranges of the data sheet, 1.1 to 1.3.
        return [
            within("temperature", round(sample.temperature, 2), -40, 85),
            within("humidity", round(sample.humidity, 3), 0, 100),
            within("pressure", round(sample.pressure * 100, 2), 30_000, 110_000),
        ]

    def _failed(self, reason: Reason, detail: str) -> list[Value | Fault]:
        """Begin anew next time: the sensor may have been replaced by another, with a calibration of its own."""
        bus, self._bus, self._calibration = self._bus, None, None
        if bus is not None:
            bus.close()
        return [Fault(quantity, reason, detail) for quantity, _ in self.quantities]


def find_bme280(open_bus: OpenBus, number: int) -> list[int]:
    """Return the addresses on a bus at which a BME280 answers; none if there is no such bus."""
    found = []
    try:
        bus = open_bus(number)
    except OSError:
        return []
    for address in (0x76, 0x77):
        try:
            if bus.read_byte_data(address, _ID_REGISTER) == BME280_ID:
                found.append(address)
        except OSError:
            continue
    bus.close()
    return found


def _reason(error: OSError) -> Reason:
    match error:
        case FileNotFoundError():
            return "no-bus"
        case PermissionError():
            return "not-allowed"
        case _:
            return "gone" if error.errno in _NO_ANSWER else "unreadable"
