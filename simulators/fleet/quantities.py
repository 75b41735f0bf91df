"""What the simulated devices measure, in units of SenML's registry (RFC 8428)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """A measured quantity; each series draws its own level and noise from these ranges.

    Attributes
    ----------
    base
        Range of the level about which a series moves, in `unit`.
    sigma
        Range of the standard deviation of a reading's noise, in `unit`.
    steps
        Steps a unit of the sensor's converter: 10 means that it reports tenths.
    """

    name: str
    unit: str
    base: tuple[float, float]
    sigma: tuple[float, float]
    steps: int


QUANTITIES: tuple[Quantity, ...] = (
    Quantity("temperature", "Cel", base=(15.0, 70.0), sigma=(0.4, 1.2), steps=10),
    Quantity("humidity", "%RH", base=(35.0, 55.0), sigma=(0.8, 2.0), steps=10),
    Quantity("pressure", "Pa", base=(99_000.0, 102_500.0), sigma=(40.0, 120.0), steps=1),
    Quantity("voltage", "V", base=(225.0, 235.0), sigma=(0.5, 1.5), steps=10),
    Quantity("current", "A", base=(4.0, 20.0), sigma=(0.1, 0.5), steps=100),
    Quantity("vibration", "m/s2", base=(2.0, 8.0), sigma=(0.1, 0.4), steps=100),
)


def quantity(place: int) -> Quantity:
    """Return the quantity of a device's series number `place`; beyond the catalogue the names are numbered.

    >>> quantity(1).unit, quantity(6).name
    ('%RH', 'temperature-2')
    """
    found = QUANTITIES[place % len(QUANTITIES)]
    turn = place // len(QUANTITIES)
    if not turn:
        return found
    return Quantity(f"{found.name}-{turn + 1}", found.unit, found.base, found.sigma, found.steps)
