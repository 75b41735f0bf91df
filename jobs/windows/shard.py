"""One step of a shard: a window's records in, alert transitions, a summary, late readings and dead letters out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.wire.alert import AlertEvent
from connectors.wire.ledger import DeadLetter, LateReadings
from connectors.wire.summary import WindowSummary
from connectors.wire.topics import READINGS
from jobs.detectors.base import Features
from jobs.detectors.missing import Missing
from jobs.windows.decode import Source, gather
from jobs.windows.directory import Directory
from jobs.windows.dump import Arrays, StateError, pack, unpack
from jobs.windows.events import Bounds
from jobs.windows.features import Seen, features_of, seen_rows
from jobs.windows.judge import Memories, RuleMemory, clear_rows, judge
from jobs.windows.lateness import late_record
from jobs.windows.levels import dense, sparse
from jobs.windows.resolve import resolve
from jobs.windows.rules import CompiledRules, CompiledSet
from jobs.windows.summary import judged_packs, summarise

NEVER_MS = -(2**62)
"""Before every window."""

FORGET_WINDOWS = 60_480
"""Silent windows after which a series is forgotten where no rule on missing data says how many: 7 days of 10 s."""


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
    """All that a shard remembers between windows: names (cold) and what the rules know of each row (hot)."""

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.judged_ms = NEVER_MS
        self.directory = Directory()
        self.seen_ms: NDArray[np.int64] = np.zeros(0, "<i8")
        self.memories: Memories = {}
        self._written: dict[str, bytes] = {}

    @classmethod
    def restore(cls, shard: int, hot: bytes | None, cold: Mapping[str, bytes]) -> "ShardState":
        """Rebuild the state from what `hot` and `cold_changes` gave; `hot` None is an empty shard.

        Raises
        ------
        StateError
            If the bytes are of a version that this build can't read, are damaged, or don't belong together.
        """
        state = cls(shard)
        if hot is None:
            return state
        values, arrays = unpack(hot)
        state.directory = Directory.from_chunks(cold)
        state.directory.changed = False
        state._written = {name: _digest(data) for name, data in cold.items()}
        try:
            state.judged_ms = int(values["judged_ms"])
            state.seen_ms = arrays["seen_ms"]
            rows = {"series": state.directory.rows, "gateway": len(state.directory.gateways)}
            for place, (rule_id, detector, axis) in enumerate(values["rules"]):
                state.memories[rule_id] = _memory(arrays, place, detector, axis, rows[axis])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            msg = f"state of shard {shard} is damaged: {error!r}"
            raise StateError(msg) from error
        if state.seen_ms.size != state.directory.rows:
            msg = f"state of shard {shard}: {state.seen_ms.size} series in hot state, {state.directory.rows} in cold"
            raise StateError(msg)
        return state

    def hot(self) -> bytes:
        """Return what changes with each window, as versioned bytes: at most 128 a series with the shipped rules."""
        arrays: Arrays = {"seen_ms": self.seen_ms}
        rules = []
        for place, (rule_id, memory) in enumerate(self.memories.items()):
            rules.append((rule_id, memory.detector, memory.axis))
            arrays |= {f"{place}/state/{name}": array for name, array in memory.state.items()}
            arrays |= {f"{place}/levels/{name}": array for name, array in sparse(memory.levels).items()}
        return pack({"judged_ms": self.judged_ms, "rules": rules}, arrays)

    def cold_changes(self) -> dict[str, bytes]:
        """Return the entries that changed since the last call, each at most 1 MiB; an empty one is to be
        forgotten.
        """
        if not self.directory.changed:
            return {}
        self.directory.changed = False
        chunks = self.directory.chunks()
        chunks |= {name: b"" for name in self._written if name not in chunks}
        changed = {name: data for name, data in chunks.items() if self._written.get(name) != _digest(data)}
        self._written |= {name: _digest(data) for name, data in changed.items()}
        return changed


def step(state: ShardState, window: Window, rules: CompiledRules) -> Outcome:
    """Judge a window and move `state` on; deterministic, and never an exception for what a record holds.

    A window at or before the last one judged is late whole: after a restore, watermarks start again.
    """
    if window.end_ms <= state.judged_ms:
        return _late_window(state, window)
    directory, active = state.directory, rules.at(window.start_ms)
    bounds = Bounds(window.shard, window.start_ms, window.end_ms, window.first_offset, window.last_offset)
    source = _source(window.shard, window.first_offset, window.last_offset, window.start_ms, window.end_ms)
    gathered = gather(window.records, directory.tables, source)
    letters_before = len(gathered.dead)
    readings, parts = resolve(gathered, directory, source)
    readings, seen = seen_rows(readings, window.end_ms - window.start_ms)
    _note_seen(state, seen, window.start_ms)
    features = _features(directory, readings, seen, observed=gathered.observed)
    verdict = judge(state.memories, directory, active, features, bounds)
    lost = [(one.gateway, one.boot, len(one.indexes)) for one in gathered.dead[letters_before:] if one.indexes]
    summary = summarise(
        directory,
        seen,
        features["series"],
        verdict,
        judged=judged_packs(parts, lost),
        bounds=bounds,
        duplicates=gathered.duplicates,
        rule_version=active.version,
    )
    state.judged_ms = window.end_ms
    forgotten = _forget(state, active, bounds)
    return Outcome(verdict.alerts + forgotten, summary, [], gathered.dead)


def late(state: ShardState, record: bytes, window_end_ms: int, offset: int) -> Outcome:
    """Keep a record that came after its window, with the tables it needs to decode by itself."""
    source = _source(state.shard, offset, offset, window_end_ms, window_end_ms)
    kept, dead = late_record(state.directory, record, source, shard=state.shard, offset=offset)
    return Outcome(late=[kept] if kept else [], dead=dead)


def _late_window(state: ShardState, window: Window) -> Outcome:
    outcomes = [late(state, record, window.end_ms, window.first_offset) for record in window.records]
    kept = [one for outcome in outcomes for one in outcome.late]
    return Outcome(late=kept, dead=[one for outcome in outcomes for one in outcome.dead])


def _source(shard: int, first: int, last: int, start_ms: int, end_ms: int) -> Source:
    where = f"{first}" if first == last else f"{first}-{last}"
    return start_ms, end_ms, f"{READINGS}/{shard}/{where}"


def _note_seen(state: ShardState, seen: Seen, start_ms: int) -> None:
    """Remember when and where each series was last seen."""
    new = np.full(state.directory.rows - state.seen_ms.size, start_ms, "<i8")
    state.seen_ms = np.concatenate([state.seen_ms, new]) if new.size else state.seen_ms
    state.seen_ms[seen.rows] = start_ms
    state.directory.seen_at(seen.rows, seen.place)


def _features(directory: Directory, readings: Any, seen: Seen, *, observed: bool) -> dict[str, Features]:
    """Return the features of each axis."""
    owner = directory.gateway_of
    gateways = np.bincount(owner[seen.rows], weights=seen.count, minlength=len(directory.gateways)).astype(np.int64)
    live = gateways[owner] > 0
    return {
        "series": features_of(readings, seen, directory.rows, observed=observed, live=live),
        "gateway": Features.of_gateways(gateways, observed),
    }


def _forget(state: ShardState, rules: CompiledSet, bounds: Bounds) -> list[AlertEvent]:
    """Give up the rows that were not seen for as long as the rules say, clearing what alerts they have."""
    missing = [one.detector for one in rules.rules if isinstance(one.detector, Missing)]
    windows = [detector.forget_after_windows for detector in missing if detector.axis == "series"]
    horizon = bounds.start_ms - max(windows, default=FORGET_WINDOWS) * (bounds.end_ms - bounds.start_ms)
    if not state.seen_ms.size or state.seen_ms.min() >= horizon:
        return []
    directory = state.directory
    gone = state.seen_ms < horizon
    alive = np.bincount(directory.gateway_of[~gone], minlength=len(directory.gateways)) > 0
    alerts = clear_rows(state.memories, directory, {"series": gone, "gateway": ~alive}, bounds)
    kept = {"series": np.flatnonzero(~gone), "gateway": np.flatnonzero(alive)}
    directory.keep(kept["series"], kept["gateway"])
    state.seen_ms = state.seen_ms[kept["series"]]
    for memory in state.memories.values():
        memory.take(kept[memory.axis])
    return alerts


def _memory(arrays: Arrays, place: int, detector: str, axis: str, rows: int) -> RuleMemory:
    """Return the memory of the rule at `place`; what the detector's code knows of it is seen when it next steps."""
    parts: dict[str, Arrays] = {}
    for kind in ("state", "levels"):
        prefix = f"{place}/{kind}/"
        parts[kind] = {name.removeprefix(prefix): one for name, one in arrays.items() if name.startswith(prefix)}
    return RuleMemory(detector, axis, parts["state"], dense(parts["levels"], rows))


def _digest(data: bytes) -> bytes:
    return sha256(data).digest()
