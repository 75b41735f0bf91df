"""DS18B20 on 1-Wire, by the kernel's w1_therm driver.

The driver is the library: it talks to the sensor, waits for the conversion and computes the CRC. What is left is to
read its file `w1_slave` and not to believe everything in it. (PyPI's w1thermsensor runs modprobe when it is imported
and refuses 85 °C even where it was measured.)
"""

import re
from pathlib import Path

from deploy.raspberrypi.sensor import Fault, Quantities, Reason, Value, within

W1_DEVICES = Path("sys/bus/w1/devices")
LOWEST_CELSIUS, HIGHEST_CELSIUS = -55.0, 125.0

_FIRST = re.compile(r"^((?:[0-9a-f]{2} ){9}): crc=[0-9a-f]{2} (YES|NO)$")
_SECOND = re.compile(r"^(?:[0-9a-f]{2} ){9}t=(-?\d+)$")
_POWER_ON_MILLICELSIUS = 85_000
_MEASURED = 0x10
"""Byte 6 after a conversion that ended at a whole degree. After power-on it is 0x0C; a clone may have anything."""


def parse_w1_slave(text: str, quantity: str = "temperature") -> Value | Fault:
    """Return the temperature, or why there is none.

    Examples
    --------
    >>> parse_w1_slave('''24 01 4b 46 7f ff 0c 10 48 : crc=48 YES
    ... 24 01 4b 46 7f ff 0c 10 48 t=18250''')
    Value(quantity='temperature', value=18.25)
    >>> parse_w1_slave('''50 05 4b 46 7f ff 0c 10 1c : crc=1c YES
    ... 50 05 4b 46 7f ff 0c 10 1c t=85000''').reason
    'power-on-value'
    """
    lines = text.splitlines()
    first = _FIRST.match(lines[0]) if len(lines) == 2 else None
    second = _SECOND.match(lines[1]) if len(lines) == 2 else None
    if first is None or second is None:
        return Fault(quantity, "unreadable", repr(text[:80]))
    if first[2] == "NO":
        # The second line then holds the reading before.
        return Fault(quantity, "crc", lines[0])
    scratchpad = bytes.fromhex(first[1])
    if not any(scratchpad):
        # A data line shorted to ground reads as zeros, whose CRC is right: that would be 0 °C.
        return Fault(quantity, "unreadable", "all zeros: the data line is shorted to ground, or the sensor is broken")
    millicelsius = int(second[1])
    if millicelsius == _POWER_ON_MILLICELSIUS and scratchpad[6] != _MEASURED:
        return Fault(quantity, "power-on-value", "85 °C, which the sensor shows before it has measured")
    return within(quantity, millicelsius / 1000, LOWEST_CELSIUS, HIGHEST_CELSIUS)


class Ds18b20:
    """One sensor; `root` is the file system's, so that a recorded tree can stand in."""

    def __init__(self, root: Path, one_wire_id: str, device: str, quantity: str = "temperature") -> None:
        self.device = device
        self.quantities: Quantities = ((quantity, "Cel"),)
        self._file = root / W1_DEVICES / one_wire_id / "w1_slave"

    @property
    def place(self) -> str:
        """Where it is."""
        return f"DS18B20 {self._file.parent.name}"

    def read(self) -> list[Value | Fault]:
        """Read it, which takes the conversion's 750 ms."""
        quantity = self.quantities[0][0]
        try:
            return [parse_w1_slave(self._file.read_text(errors="replace"), quantity)]
        except OSError as error:
            return [Fault(quantity, self._reason(error), f"{self._file}: {error.strerror}")]

    def _reason(self, error: OSError) -> Reason:
        if isinstance(error, PermissionError):
            return "not-allowed"
        # On a bus that works, the kernel takes the folder of a sensor that vanished away after some seconds; until
        # then reading fails with EIO or ENODEV.
        return "gone" if self._file.parent.parent.is_dir() else "no-bus"


def find_ds18b20(root: Path) -> list[str]:
    """Return the ids of the DS18B20 that the kernel sees."""
    return sorted(folder.name for folder in (root / W1_DEVICES).glob("28-*"))
