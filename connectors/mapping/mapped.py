"""What a mapping makes of one message."""

from dataclasses import dataclass, field

from connectors.mapping.refusal import Refusal
from connectors.wire.series import Series


@dataclass(frozen=True, slots=True)
class MappedReading:
    """One reading.

    Attributes
    ----------
    place
        In the message, in the mapping's order.
    series
        Device, quantity, unit.
    family
        Series that messages of this kind bring together, this one among them: they share a series table.
    value
        Finite.
    time_ms
        Event time; None for a message that tells none.
    since_receipt_ms
        Added to the receive time where `time_ms` is None.
    """

    place: int
    series: Series
    family: tuple[Series, ...]
    value: float
    time_ms: int | None
    since_receipt_ms: int = 0


@dataclass(frozen=True, slots=True)
class BadReading:
    """A reading that is there and can't be used."""

    place: int
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Mapped:
    """A message's readings, good and bad; neither, if it is one of those that the mapping lets pass."""

    readings: list[MappedReading] = field(default_factory=list)
    bad: list[BadReading] = field(default_factory=list)
