"""One step of a shard: a window's records in, alert transitions, a summary, late readings and dead letters out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.wire.alert import AlertEvent
from connectors.wire.ledger import DeadLetter, LateReadings
from connectors.wire.record import Heartbeat, Readings, decode_record
from connectors.wire.summary import WindowSummary
from connectors.wire.versions import WireError
from jobs.windows.rules import CompiledRules


@dataclass(frozen=True)
class Window:
    """A window of one shard.

    Attributes
    ----------
    start_ms, end_ms
        Event time, `[start, end)`.
    records
        Values of the readings topic, in any order, copies included.
    first_offset, last_offset
        Where in the topic they lie; -1 where unknown.
    """

    shard: int
    start_ms: int
    end_ms: int
    records: Sequence[bytes]
    first_offset: int = -1
    last_offset: int = -1


@dataclass(frozen=True)
class Outcome:
    """What came of a window or of a late record."""

    alerts: list[AlertEvent] = field(default_factory=list)
    summary: WindowSummary | None = None
    late: list[LateReadings] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)


class ShardState:
    """All that a shard remembers between windows."""

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.judged_ms = -1

    @classmethod
    def restore(cls, shard: int, hot: bytes | None, cold: Mapping[str, bytes]) -> "ShardState":
        """Rebuild the state from what `hot` and `cold_changes` gave; `hot` None is an empty shard."""
        state = cls(shard)
        if hot is not None:
            state.judged_ms = int.from_bytes(hot, "little", signed=True)
        return state

    def hot(self) -> bytes:
        """Return what changes with each window, as versioned bytes."""
        return self.judged_ms.to_bytes(8, "little", signed=True)

    def cold_changes(self) -> dict[str, bytes]:
        """Return the entries that changed since the last call, each at most 1 MiB."""
        return {}


def step(state: ShardState, window: Window, rules: CompiledRules) -> Outcome:
    """Judge a window and move `state` on; never raises for what a record holds."""
    if window.end_ms <= state.judged_ms:
        parts = [late(state, record, window.end_ms, window.first_offset) for record in window.records]
        return Outcome(late=[one for part in parts for one in part.late], dead=[one for part in parts for one in part.dead])
    state.judged_ms = window.end_ms
    records = [decode_record(record) for record in window.records]
    readings = sum(len(part.values) // 8 for one in records if isinstance(one, Readings) for part in one.parts)
    active = rules.at(window.start_ms)
    summary = WindowSummary(
        shard=window.shard,
        start_ms=window.start_ms,
        end_ms=window.end_ms,
        observed=any(isinstance(one, Heartbeat) for one in records),
        readings=readings,
        duplicates=0,
        rule_version=active.version if active else 0,
        first_offset=window.first_offset,
        last_offset=window.last_offset,
        groups=[],
        **dict.fromkeys(
            ("series", "count", "first", "last", "minimum", "maximum", "mean", "spread", "score", "learning"), b""
        ),
        judged=[],
    )
    return Outcome(summary=summary)


def late(state: ShardState, record: bytes, window_end_ms: int, offset: int) -> Outcome:
    """Keep a record that came after its window, with the tables it needs to decode by itself."""
    try:
        decoded = decode_record(record)
    except WireError:
        return Outcome()
    if isinstance(decoded, Heartbeat):
        return Outcome()
    kept = LateReadings(
        shard=state.shard,
        cell_ms=decoded.cell_ms,
        window_end_ms=window_end_ms,
        offset=offset,
        parts=decoded.parts,
        tables=decoded.tables,
        readings=sum(len(part.values) // 8 for part in decoded.parts),
    )
    return Outcome(late=[kept])
