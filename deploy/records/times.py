"""Times that people type: a moment, or how long ago."""

import re
from datetime import UTC, datetime

_AGO = re.compile(r"(\d{1,9})\s*(s|min|m|h|d)")
_UNIT_MS = {"s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_time(text: str, now_ms: int) -> int:
    """Return the moment that a text names, in milliseconds since 1970.

    Parameters
    ----------
    text
        `15m` or `2h` ago (s, m, h, d), or ISO 8601, `2026-03-01` or `2026-03-01T10:15:00+01:00`; without an offset UTC.
    now_ms
        The clock that "ago" is counted from.

    Raises
    ------
    ValueError
        If it is neither.

    >>> parse_time("15m", 1_000_000), parse_time("1970-01-02", 0), parse_time("1970-01-01T01:00:00+01:00", 0)
    (100000, 86400000, 0)
    """
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return now_ms - int(ago[1]) * _UNIT_MS[ago[2]]
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        example = "15m, 2h, 3d (ago), 2026-03-01 or 2026-03-01T10:15:00Z"
        raise ValueError(f"{text!r} is no time; write for example {example}") from error
