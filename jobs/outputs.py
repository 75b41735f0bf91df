"""What the judge puts out: tagged rows `(tag, key, body, headers)`, split by SQL into the four sinks. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime

from connectors.wire import topics
from connectors.wire.alert import headers
from connectors.wire.ledger import DeadLetter, DeadReason
from connectors.wire.record import Readings, decode_record
from connectors.wire.versions import WireError, to_json, to_msgpack
from jobs.sql import ALERT, DEAD, LATE, SUMMARY
from jobs.windows.shard import Outcome, Window

SOURCE = "/tidemark/jobs/detect"

Tagged = tuple[int, bytes, bytes, dict[str, bytes] | None]


def tagged(outcome: Outcome) -> Iterator[Tagged]:
    """Yield an outcome's rows: alerts first, so that they are never behind their window's summary."""
    for alert in outcome.alerts:
        attributes = headers(alert, SOURCE, rfc3339(alert.window_end_ms))
        yield ALERT, alert.alert_id.encode(), to_json(alert), dict(attributes)
    for late in outcome.late:
        yield LATE, (late.parts[0].gateway if late.parts else "").encode(), to_msgpack(late), None
    for dead in outcome.dead:
        yield DEAD, dead.gateway.encode(), to_msgpack(dead), None
    if outcome.summary is not None:
        yield SUMMARY, str(outcome.summary.shard).encode(), to_msgpack(outcome.summary), None


def refused(window: Window, detail: str, now_ms: int) -> Outcome:
    """Return a window whose judging failed as dead letters, so that one bad window can't stop a fleet."""
    source = f"{topics.READINGS}/{window.shard}/{window.first_offset}-{window.last_offset}"
    return Outcome(dead=[_dead("rejected", detail, source, record, now_ms) for record in window.records])


def refused_rules(version: str, body: bytes, detail: str, now_ms: int) -> Outcome:
    """Return a rule set that can't be used as a dead letter."""
    return Outcome(dead=[_dead("malformed", detail, f"{topics.RULES}/{version}", body, now_ms)])


def readings_in(record: bytes) -> int:
    """Return how many readings a record holds; 0 where it can't be decoded."""
    try:
        decoded = decode_record(record)
    except WireError:
        return 0
    return sum(len(part.values) // 8 for part in decoded.parts) if isinstance(decoded, Readings) else 0


def rfc3339(time_ms: int) -> str:
    """Return a time as CloudEvents writes it.

    >>> rfc3339(1_700_000_000_250)
    '2023-11-14T22:13:20.250Z'
    """
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _dead(reason: DeadReason, detail: str, source: str, record: bytes, now_ms: int) -> DeadLetter:
    return DeadLetter(
        service="job",
        reason=reason,
        detail=detail[:1000],
        source=source,
        received_ms=now_ms,
        payload=record,
        readings=readings_in(record),
    )
