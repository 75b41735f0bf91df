"""What a sensor is: something that gives values or says why not. It never gives a value that it didn't measure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Reason = Literal[
    "gone",
    "crc",
    "power-on-value",
    "out-of-range",
    "not-ready",
    "wrong-chip",
    "no-bus",
    "not-offered",
    "not-allowed",
    "unreadable",
]
"""Why there is no reading; a closed set, so that they can be counted."""

MENDS: dict[Reason, str] = {
    "gone": "look at its wiring, and at its id or address in the config",
    "crc": "look at the wiring: a short cable, 4.7 kΩ from data to 3.3 V, and a good ground",
    "power-on-value": "the sensor lost power before it had measured: look at its supply, and avoid parasitic power",
    "out-of-range": "no sensor of this kind measures that: look at its supply and wiring, or replace it",
    "not-ready": "it had not measured yet; if this stays, look at its supply",
    "wrong-chip": "the chip at that address is another one; a BMP280, often sold as BME280, has no humidity",
    "no-bus": "switch the bus on (raspi-config, Interface Options, I2C or 1-Wire) and reboot",
    "not-offered": "no Raspberry Pi, or its system lacks it: set board.temperature or board.throttling to false",
    "not-allowed": "add the user that runs tidemark-pi to the groups i2c and video, and restart the service",
    "unreadable": "this is no answer that the sensor's data sheet knows; look at its wiring, or replace it",
}


@dataclass(frozen=True, slots=True)
class Value:
    """A reading, in the unit of its quantity."""

    quantity: str
    value: float


@dataclass(frozen=True, slots=True)
class Fault:
    """No reading, and why; `detail` is what was seen instead."""

    quantity: str
    reason: Reason
    detail: str


Quantities = tuple[tuple[str, str], ...]
"""Names and units (SenML's)."""


class Sensor(Protocol):
    """Something that can be read. `quantities` are in the order of the series table."""

    device: str
    quantities: Quantities

    @property
    def place(self) -> str:
        """Where it is, for people."""
        ...

    def read(self) -> Sequence[Value | Fault]:
        """Read it; at most one entry a quantity. Doesn't raise for what a sensor or bus does."""
        ...


def within(quantity: str, value: float, low: float, high: float) -> Value | Fault:
    """Return the value if a sensor can measure it.

    >>> within("temperature", -127.0, -55, 125)
    Fault(quantity='temperature', reason='out-of-range', detail='-127 is not from -55 to 125')
    """
    if low <= value <= high:
        return Value(quantity, value)
    return Fault(quantity, "out-of-range", f"{value:g} is not from {low:g} to {high:g}")
