"""Times as devices write them: a count since 1970 UTC, ISO 8601 with a zone, or without one and a zone told."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo

from connectors.mapping.refusal import Refusal, quoted
from connectors.mapping.topics import TemplateError

Form = Literal["iso8601", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"]

BEYOND = 2**63
"""No clock shows this in any unit; keeps arithmetic away from integers of thousands of digits."""

_PER_MS = {"epoch_ms": 1, "epoch_us": 1_000, "epoch_ns": 1_000_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})")
_DIGITS = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?", re.ASCII)
_CLOCK = re.compile(r"\d[T ]\d")
_WHOLE_MS = timedelta(milliseconds=1)


def zone(name: str) -> tzinfo | None:
    """Return the zone of a name (`Europe/Berlin`), of an offset (`+01:00`), or None for "".

    Raises
    ------
    TemplateError
        If there is none.
    """
    if not name:
        return None
    if name in ("UTC", "Z"):
        return UTC
    if found := _OFFSET.fullmatch(name):
        hours, minutes = int(found[2]), int(found[3])
        if hours < 24 and minutes < 60:
            offset = timedelta(hours=hours, minutes=minutes)
            return timezone(-offset if found[1] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError) as error:
        raise TemplateError(f"{name!r} is no zone; write one like Europe/Berlin, UTC or +01:00") from error


def event_time_ms(value: Any, form: Form, default: tzinfo | None) -> int:
    """Return a time in milliseconds since 1970 UTC.

    Parameters
    ----------
    default
        Zone of an ISO time that names none.

    Raises
    ------
    Refusal
        `bad-time`.

    >>> event_time_ms("2024-03-05T14:30:10.5+01:00", "iso8601", None)
    1709645410500
    >>> event_time_ms(1709645410.5, "epoch_s", None)
    1709645410500
    """
    return _iso_ms(value, default) if form == "iso8601" else _epoch_ms(value, form)


def _epoch_ms(value: Any, form: Form) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal("bad-time", f"time {quoted(value)} is no number")
    if not -BEYOND < value < BEYOND:  # nan isn't either
        raise Refusal("bad-time", f"time {quoted(value)} is beyond every clock")
    # A double holds a second of today to a quarter of a microsecond, so the nearest millisecond is what was meant.
    return round(value * 1000) if form == "epoch_s" else round(value / _PER_MS[form])


def _iso_ms(value: Any, default: tzinfo | None) -> int:
    if not isinstance(value, str):
        raise Refusal("bad-time", f"time {quoted(value)} is no text in the form of ISO 8601")
    text = value.strip()
    if not _CLOCK.search(text):
        raise Refusal("bad-time", f"time {quoted(value)} is no date with a time of day in the form of ISO 8601")
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal("bad-time", f"time {quoted(value)} is not in the form of ISO 8601") from error
    if time.tzinfo is None:
        if default is None:
            raise Refusal("bad-time", f"time {quoted(value)} names no zone, and neither does the mapping (time.zone)")
        time = time.replace(tzinfo=default)
    try:
        return (time - _EPOCH) // _WHOLE_MS
    except OverflowError as error:
        raise Refusal("bad-time", f"time {quoted(value)} is beyond every clock") from error
