"""Finding where messages say when, and in which form."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.mapping.discover.leaves import Path, is_number, leaves
from connectors.mapping.discover.words import TIME_NAMES
from connectors.mapping.refusal import Refusal
from connectors.mapping.times import Form, event_time_ms

QUARTER_MS = 900_000
"""Zones differ by quarters of an hour."""

NEAR_MS = 240_000
"""A device's clock this near to a zone's time is taken to show it."""

DAY_MS = 86_400_000

_ISO = re.compile(r"\d{4}-?\d{2}-?\d{2}[T ]\d{2}:?\d{2}")
_ZONED = re.compile(r"(Z|[+-]\d{2}(:?\d{2})?)$")
_SECONDS = (800_000_000, 4_100_000_000)
"""1995 to 2099."""

_FACTORS: tuple[tuple[Form, int], ...] = (
    ("epoch_s", 1),
    ("epoch_ms", 1_000),
    ("epoch_us", 1_000_000),
    ("epoch_ns", 1_000_000_000),
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """A value that may be a time, with when its message came; `retained` ones say nothing about the clock."""

    value: Any
    received_ms: int
    retained: bool


@dataclass(frozen=True, slots=True)
class FoundTime:
    """Where and how the messages say when, and what to tell the user about it."""

    path: Path
    form: Form
    zone: str = ""
    notes: tuple[str, ...] = ()


def candidates(value: Any) -> list[Path]:
    """Return the paths whose names may be of a time, the surest first."""
    named = [
        (TIME_NAMES.index(name), len(path), path)
        for path, _ in leaves(value)
        if path and (name := path[-1].lower().replace("-", "_")) in TIME_NAMES
    ]
    return [path for _, _, path in sorted(named)]


def form_of_time(value: Any) -> Form | None:
    """Return the form of a value that is a time, else None.

    >>> form_of_time(1709645410123), form_of_time("2024-03-05T14:30:10"), form_of_time(21.5)
    ('epoch_ms', 'iso8601', None)
    """
    if is_number(value):
        size = abs(float(value))
        return next((form for form, factor in _FACTORS if _SECONDS[0] * factor < size < _SECONDS[1] * factor), None)
    if isinstance(value, str) and _ISO.match(value.strip()):
        try:
            event_time_ms(value, "iso8601", UTC)
        except Refusal:
            return None
        return "iso8601"
    return None


def found_time(path: Path, stamps: Sequence[Stamp]) -> FoundTime | None:
    """Return the time at a path, None unless every message has one there, of one form."""
    forms = {form_of_time(stamp.value) for stamp in stamps}
    if len(forms) != 1 or (form := forms.pop()) is None:
        return None
    if form != "iso8601" or all(_ZONED.search(stamp.value.strip()) for stamp in stamps):
        return FoundTime(path, form, notes=_clock_notes(form, stamps))
    return _without_zone(path, stamps)


def _without_zone(path: Path, stamps: Sequence[Stamp]) -> FoundTime:
    """Guess the zone by which live messages' clocks are right."""
    quarters = {_quarters(stamp) for stamp in stamps if not stamp.retained}
    if len(quarters) == 1 and (shift := quarters.pop()) is not None:
        hours, minutes = divmod(abs(shift) * 15, 60)
        zone = f"{'-' if shift < 0 else '+'}{hours:02}:{minutes:02}" if shift else "UTC"
        note = f"the times name no zone; {zone} fits now. A zone with summer time needs its name: Europe/Berlin"
        return FoundTime(path, "iso8601", zone, (note,))
    note = "the times name no zone, and none fits the clock now: UTC is a guess. Write the device's zone: Europe/Berlin"
    return FoundTime(path, "iso8601", "UTC", (note,))


def _quarters(stamp: Stamp) -> int | None:
    """Return how many quarters of an hour a clock seems to be ahead of UTC, None if it isn't a zone's number."""
    ahead_ms = event_time_ms(stamp.value, "iso8601", UTC) - stamp.received_ms
    quarters = round(ahead_ms / QUARTER_MS)
    return quarters if abs(ahead_ms - quarters * QUARTER_MS) <= NEAR_MS and -48 <= quarters <= 56 else None


def _clock_notes(form: Form, stamps: Sequence[Stamp]) -> tuple[str, ...]:
    live = [stamp for stamp in stamps if not stamp.retained]
    off_ms = [event_time_ms(stamp.value, form, UTC) - stamp.received_ms for stamp in live]
    worst = max(off_ms, key=abs, default=0)
    if abs(worst) < DAY_MS:
        return ()
    at = datetime.fromtimestamp((live[0].received_ms + worst) / 1000, UTC).date()
    return (
        f"the times are of {at}, {abs(worst) // DAY_MS} days {'ahead' if worst > 0 else 'behind'}: is the clock right?",
    )
