"""What Tidemark wrote into InfluxDB, as arrays and rows: windows of a series, and alerts from raised to cleared."""

import json
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from connectors.wire.alert import SEVERITIES

TIMEOUT_S = 30.0
"""Eleven weeks of a series come in a second; an InfluxDB that doesn't answer must not hang a notebook."""

WINDOW_FIELDS = ("mean", "min", "max", "score")
ALERT_FIELDS = ("gateway", "device", "quantity", "rule", "severity", "transition", "raised_ms", "value", "score")


class PointsError(Exception):
    """InfluxDB can't be asked; the message says why and what to do next."""


@dataclass(frozen=True)
class Windows:
    """The windows of a series, by time, in arrays of one length; NaN where a window has no such number.

    Attributes
    ----------
    start_ms
        Event time.
    mean, minimum, maximum
        In the series' unit.
    score
        By how many usual residuals the mean was off; NaN while the series was still being learned.
    """

    start_ms: NDArray[np.int64]
    mean: NDArray[np.float64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    score: NDArray[np.float64]

    def between(self, start_ms: int, end_ms: int) -> "Windows":
        """Return those that begin in `[start_ms, end_ms)`."""
        kept = (self.start_ms >= start_ms) & (self.start_ms < end_ms)
        return Windows(*(column[kept] for column in self._columns()))

    def with_gaps(self, window_ms: int) -> "Windows":
        """Return the windows with one more, all NaN, in each gap, so that a line is not drawn across it."""
        start_ms, *columns = self._columns()
        behind = np.flatnonzero(np.diff(start_ms) > window_ms) + 1
        empty = [np.insert(column, behind, np.nan) for column in columns]
        return Windows(np.insert(start_ms, behind, start_ms[behind - 1] + window_ms), *empty)

    def _columns(self) -> tuple[Any, ...]:
        return self.start_ms, self.mean, self.minimum, self.maximum, self.score


class Alert(NamedTuple):
    """One alert. Times are event time; `cleared_ms` is None while it is active, `value` None where nothing came.

    `severity` is the highest that it reached.
    """

    gateway: str
    device: str
    quantity: str
    rule: str
    severity: str
    raised_ms: int
    cleared_ms: int | None
    value: float | None
    score: float | None


class Influx:
    """The InfluxDB 1.8 of an embedded stack.

    Parameters
    ----------
    settings_file
        The stack's settings in effect: `settings.toml` in its folder.

    Raises
    ------
    PointsError
        If there is no such file.
    """

    def __init__(self, settings_file: Path) -> None:
        try:
            settings = tomllib.loads(settings_file.read_text())["influxdb"]
        except OSError as error:
            raise PointsError(f"{settings_file}: {error.strerror}; was a stack ever started there?") from error
        self._url = settings["url"]
        self._database = settings["bucket"]

    def windows(self, gateway: str, device: str, quantity: str) -> Windows:
        """Return a series' windows."""
        place = {"gateway": gateway, "device": device, "quantity": quantity}
        where = " AND ".join(f'"{tag}" = {_text(value)}' for tag, value in place.items())
        rows = self._rows(f"SELECT {_names(WINDOW_FIELDS)} FROM windows WHERE {where}")  # noqa: S608 - quoted by _text
        columns = [np.array([row[name] for row in rows], np.float64) for name in WINDOW_FIELDS]
        return Windows(np.array([row["time"] for row in rows], np.int64), *columns)

    def alerts(self) -> list[Alert]:
        """Return all alerts of gateways, by the time at which they were raised; not those about Tidemark itself."""
        query = f"SELECT {_names(ALERT_FIELDS)} FROM alerts"  # noqa: S608 - names of this module
        return fold(row for row in self._rows(query) if row["gateway"])

    def _rows(self, query: str) -> list[dict[str, Any]]:
        asked = urllib.parse.urlencode({"db": self._database, "epoch": "ms", "q": query})
        try:
            with urllib.request.urlopen(f"{self._url}/query?{asked}", timeout=TIMEOUT_S) as answer:  # noqa: S310
                (result,) = json.load(answer)["results"]
        except OSError as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise PointsError(f"InfluxDB at {self._url} does not answer, so its stack isn't up: {reason}") from error
        if "error" in result:
            raise PointsError(f"InfluxDB at {self._url}: {result['error']}")
        return [
            dict(zip(one["columns"], row, strict=True)) for one in result.get("series", []) for row in one["values"]
        ]


def fold(events: Iterable[Mapping[str, Any]]) -> list[Alert]:
    """Return the alerts that events tell of, in any order. An alert is known by its series, rule and first window."""
    found: dict[tuple[str, str, str, str, int], Alert] = {}
    for event in sorted(events, key=lambda event: (event["time"], event["transition"] != "raised")):
        series = (event["gateway"], event["device"] or "", event["quantity"] or "")
        key = (*series, event["rule"], int(event["raised_ms"]))
        known = found.get(key)
        if known is None:
            known = Alert(*series, event["rule"], event["severity"], key[-1], None, event["value"], event["score"])
        worst = max(known.severity, event["severity"], key=list(SEVERITIES).index)
        cleared = int(event["time"]) if event["transition"] == "cleared" else known.cleared_ms
        found[key] = known._replace(severity=worst, cleared_ms=cleared)
    return sorted(found.values(), key=lambda alert: (alert.raised_ms, alert))


def _names(fields: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in fields)


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
