"""Kafka records become points; what can't is gathered into dead letters, one a record and reason."""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from connectors.influxdb.points import Bad, Lookup, alert_line, window_rows
from connectors.influxdb.writes import Refusal
from connectors.wire.alert import AlertEvent
from connectors.wire.ledger import DeadLetter, DeadReason
from connectors.wire.summary import WindowSummary
from connectors.wire.topics import ALERT_EVENTS
from connectors.wire.versions import WireError, from_json, from_msgpack

REMEMBERED_EVENTS = 100_000
"""Ids by which a repeat is dropped early. One that repeats later overwrites its own point, so forgetting is safe."""

DETAILS_SHOWN = 5
"""Of a letter's rows; the rest reads the same."""


class Record(NamedTuple):
    """A record of Kafka."""

    topic: str
    partition: int
    offset: int
    value: bytes

    @property
    def source(self) -> str:
        """Where it lies."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Point(NamedTuple):
    """A line of line protocol, and where it came from."""

    line: str
    record: Record
    row: int
    gateway: str


class Recent:
    """The last so many ids that were seen."""

    def __init__(self, size: int = REMEMBERED_EVENTS) -> None:
        self._size = size
        self._ids: OrderedDict[str, None] = OrderedDict()

    def is_new(self, event_id: str) -> bool:
        """Whether the id was not seen; it is from now on."""
        if event_id in self._ids:
            return False
        self._ids[event_id] = None
        if len(self._ids) > self._size:
            self._ids.popitem(last=False)
        return True


class Batch:
    """Points to be written, and what was bad among the records they came from.

    Parameters
    ----------
    lookup
        Names of a group's series.
    now_ms
        The injected clock, for the letters' receive time.
    """

    def __init__(self, lookup: Lookup, now_ms: Callable[[], int]) -> None:
        self.points: list[Point] = []
        self.repeats = 0
        self._lookup = lookup
        self._now_ms = now_ms
        self._bad: dict[tuple[Record, DeadReason], list[Bad]] = {}
        self._recent = Recent()

    def add(self, record: Record) -> None:
        """Turn a record into points."""
        try:
            if record.topic == ALERT_EVENTS:
                self._add_alert(record)
            else:
                self._add_window(record)
        except WireError as error:
            self._refuse(record, Bad(_dead_reason(error.reason), error.detail, ""))

    def refuse(self, point: Point, refusal: Refusal) -> None:
        """Note that InfluxDB does not take a point."""
        self._refuse(point.record, Bad("rejected", f"{refusal.reason}: {refusal.detail}", point.gateway, point.row))

    def take_points(self) -> list[Point]:
        """Return the points gathered since the last call."""
        points, self.points = self.points, []
        return points

    def take_letters(self) -> list[DeadLetter]:
        """Return the letters gathered since the last call."""
        bad, self._bad = self._bad, {}
        return [self._letter(record, reason, rows) for (record, reason), rows in bad.items()]

    def _add_alert(self, record: Record) -> None:
        event = from_json(AlertEvent, record.value)
        if not self._recent.is_new(event.event_id):
            self.repeats += 1
            return
        self.points.append(Point(alert_line(event), record, -1, event.gateway))

    def _add_window(self, record: Record) -> None:
        rows, bad = window_rows(from_msgpack(WindowSummary, record.value), self._lookup)
        self.points += [Point(row.line, record, row.row, row.gateway) for row in rows]
        for each in bad:
            self._refuse(record, each)

    def _refuse(self, record: Record, bad: Bad) -> None:
        self._bad.setdefault((record, bad.reason), []).append(bad)

    def _letter(self, record: Record, reason: DeadReason, rows: list[Bad]) -> DeadLetter:
        details = list(dict.fromkeys(bad.detail for bad in rows))
        more = f" (and {len(details) - DETAILS_SHOWN} more)" if len(details) > DETAILS_SHOWN else ""
        return DeadLetter(
            service="influxdb",
            reason=reason,
            detail="; ".join(details[:DETAILS_SHOWN]) + more,
            source=record.source,
            received_ms=self._now_ms(),
            payload=record.value,
            gateway=rows[0].gateway,
            indexes=sorted(bad.row for bad in rows if bad.row >= 0),
        )


def _dead_reason(reason: str) -> DeadReason:
    """Return the reason of a decoding error as a dead letter's; both are closed sets."""
    if reason == "unknown-version":
        return "unknown-version"
    if reason == "columns-differ":
        return "columns-differ"
    if reason == "bad-value":
        return "bad-value"
    return "malformed"
