"""The operator that judges windows: the thin shell between Flink and `jobs.windows`."""

import logging
import time
from collections.abc import Iterable, Iterator

from pyflink.common import Row, Types
from pyflink.datastream import KeyedBroadcastProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from connectors.wire.ruleset import RuleSet
from connectors.wire.versions import WireError, from_json
from jobs.held import Held, decode_held, encode_held
from jobs.orphan import end_with_task_manager
from jobs.outputs import refused, refused_rules, tagged
from jobs.windows.rules import CompiledRules, compile_rules
from jobs.windows.shard import Outcome, ShardState, late, step

BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
RULES = MapStateDescriptor("rules", Types.STRING(), BYTES)
TAGGED = Types.ROW_NAMED(
    ["tag", "key", "body", "headers"], [Types.INT(), BYTES, BYTES, Types.MAP(Types.STRING(), BYTES)]
)
SETTLE_MS = 1_000
"""After a start, windows wait until no rule set has come for so long: a replay that judged its first windows before it
had read all rules would not repeat itself."""

AGAIN_MS = 250
"""How often waiting windows look for rules."""

_LOG = logging.getLogger(__name__)


class Judge(KeyedBroadcastProcessFunction):
    """Judges each window of a shard with the rules in force, and keeps the shard's state.

    Nothing that a record or a rule set holds may raise here: Flink would restart the job, read the same record again,
    and so for ever. What can't be judged goes to the dead letters with its bytes.
    """

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms

    def open(self, runtime_context: RuntimeContext) -> None:
        """Take hold of the state; called at each start, so nothing cached outlives a restore."""
        end_with_task_manager()
        self._first_subtask = runtime_context.get_index_of_this_subtask() == 0
        self._hot = runtime_context.get_state(ValueStateDescriptor("hot", BYTES))
        self._cold = runtime_context.get_map_state(MapStateDescriptor("cold", Types.STRING(), BYTES))
        self._held = runtime_context.get_map_state(MapStateDescriptor("held", Types.LONG(), BYTES))
        self._shards: dict[int, ShardState] = {}
        self._waiting: dict[int, int] = {}  # shard → windows in `_held`
        self._rules: CompiledRules | None = None
        self._settled = False
        self._last_rules_ms = _now_ms()

    def process_element(self, value: Row, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Iterator[Row]:
        """Judge a window or a late record, or keep it until there are rules."""
        shard, ms, records, first, last, is_late = value
        start_ms = ms - ms % self._window_ms
        one = Held(shard, start_ms, start_ms + self._window_ms, list(records), first, last, is_late)
        rules = self._ready_rules(ctx)
        if rules is None:
            self._hold(one, ctx)
            return
        for waited in self._waited(shard):
            yield from _rows(self._judge(waited, rules))
        yield from _rows(self._judge(one, rules))

    def on_timer(self, timestamp: int, ctx: KeyedBroadcastProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Look again whether there are rules, and judge what waited."""
        rules = self._ready_rules(ctx)
        if rules is None:
            _look_again(ctx)
            return
        for waited in self._waited(None):
            yield from _rows(self._judge(waited, rules))

    def process_broadcast_element(self, value: Row, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[Row]:
        """Take a rule set, or its removal."""
        version, body = value
        self._last_rules_ms = _now_ms()
        state = ctx.get_broadcast_state(RULES)
        if body is None:
            state.remove(version)
            self._rules = None
            return
        body = bytes(body)
        problem = rules_problem(body)
        if problem is None:
            state.put(version, body)
            self._rules = None
        elif self._first_subtask:  # each subtask is given each rule set; one says what is wrong
            yield from _rows(refused_rules(version, body, problem, _now_ms()))

    def _ready_rules(self, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> CompiledRules | None:
        if self._rules is None:
            bodies = list(ctx.get_broadcast_state(RULES).values())
            if not bodies:
                return None
            self._rules = compile_rules([from_json(RuleSet, bytes(body)) for body in bodies])
        if not self._settled:
            self._settled = _now_ms() - self._last_rules_ms >= SETTLE_MS
        return self._rules if self._settled else None

    def _hold(self, one: Held, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> None:
        waiting = self._waiting.get(one.shard)
        if waiting is None:
            waiting = len(list(self._held.keys()))
        self._held.put(waiting, encode_held(one))
        self._waiting[one.shard] = waiting + 1
        _look_again(ctx)

    def _waited(self, shard: int | None) -> list[Held]:
        """Return what waited for the current key, in order, and forget it; `shard` None asks the state."""
        if shard is not None and self._waiting.get(shard) == 0:
            return []
        waited = [decode_held(bytes(data)) for _, data in sorted(self._held.items())]
        if waited:
            self._held.clear()
        self._waiting |= {one.shard: 0 for one in waited} | ({} if shard is None else {shard: 0})
        return waited

    def _judge(self, one: Held, rules: CompiledRules) -> Outcome:
        state = self._state(one.shard)  # outside the try: state that can't be read must stop the job, loudly
        try:
            if one.late:
                return late(state, one.records[0], one.end_ms, one.first_offset)
            outcome = step(state, one.window(), rules)
            hot, cold = state.hot(), state.cold_changes()
        except MemoryError:
            raise
        except Exception as error:
            _LOG.exception("shard %d, window %d could not be judged", one.shard, one.start_ms)
            del self._shards[one.shard]  # it may be half changed; the state of the last window is in Flink
            return refused(one.window(), f"{type(error).__name__}: {error}", _now_ms())
        self._hot.update(hot)
        for name, data in cold.items():
            self._cold.put(name, data)
        return outcome

    def _state(self, shard: int) -> ShardState:
        state = self._shards.get(shard)
        if state is None:
            hot = self._hot.value()
            cold = {name: bytes(data) for name, data in self._cold.items()}
            state = ShardState.restore(shard, None if hot is None else bytes(hot), cold)
            self._shards[shard] = state
        return state


def rules_problem(body: bytes) -> str | None:
    """Return what is wrong with a rule set, or None."""
    try:
        errors = compile_rules([from_json(RuleSet, body)]).errors
    except WireError as error:
        return str(error)
    return "; ".join(errors) or None


def _rows(outcome: Outcome) -> Iterable[Row]:
    return (Row(*fields) for fields in tagged(outcome))


def _look_again(ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> None:
    timers = ctx.timer_service()
    timers.register_processing_time_timer(timers.current_processing_time() // AGAIN_MS * AGAIN_MS + AGAIN_MS)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
