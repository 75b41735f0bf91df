"""A shard to judge by hand: one gateway's readings in, outcomes out."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.wire.record import Heartbeat, Part, Readings, encode_record
from connectors.wire.ruleset import Rule, RuleSet
from connectors.wire.series import SeriesTable
from jobs.windows.rules import CompiledRules, compile_rules
from jobs.windows.shard import Outcome, ShardState, Window, step
from tests.support.oracle import WINDOW_MS, table_of

TABLE = table_of("g", 3)
OTHER = table_of("h", 2)
TABLES: Mapping[str, SeriesTable] = {"g": TABLE, "h": OTHER}


def compiled(*rules: Rule, version: int = 1, effective_from_ms: int = 0) -> CompiledRules:
    """Compile rules that must be right."""
    made = compile_rules([RuleSet(version=version, effective_from_ms=effective_from_ms, rules=rules)])
    assert not made.errors, made.errors
    return made


def part(
    values: Sequence[float],
    series: Sequence[int] | None = None,
    gateway: str = "g",
    seq: int = 1,
    offsets: Sequence[int] | None = None,
    quality: bytes = b"",
    table: str | None = None,
    site: str = "s",
) -> Part:
    """Return readings, one a series unless said otherwise, as a part."""
    count = len(values)
    return Part(
        site=site,
        gateway=gateway,
        boot="b",
        seq=seq,
        received_ms=77,
        table=table or TABLES[gateway].id,
        offsets=struct.pack(f"<{count}I", *(offsets or range(count))),
        series=struct.pack(f"<{count}I", *(series or range(count))),
        values=struct.pack(f"<{count}d", *values),
        quality=quality,
    )


@dataclass
class Shard:
    """A shard and its windows, one after the other; each with a heartbeat unless said otherwise."""

    rules: CompiledRules
    state: ShardState = field(default_factory=lambda: ShardState(0))
    number: int = 0

    def see(self, *parts: Part, tables: Sequence[SeriesTable] = (TABLE, OTHER), observed: bool = True) -> Outcome:
        """Judge the next window."""
        start_ms = self.number * WINDOW_MS
        records = [encode_record(Readings(cell_ms=start_ms, parts=list(parts), tables=list(tables)))] if parts else []
        if observed:
            records.append(encode_record(Heartbeat(time_ms=start_ms, bridge="b")))
        return self.raw(records)

    def raw(self, records: Sequence[bytes]) -> Outcome:
        """Judge the next window from its records."""
        start_ms = self.number * WINDOW_MS
        self.number += 1
        return step(self.state, Window(0, start_ms, start_ms + WINDOW_MS, records, 10, 20), self.rules)

    def told(self, *parts: Part, observed: bool = True) -> list[tuple[str, str, str]]:
        """Judge the next window and return what its alerts say: rule, quantity of the series, transition."""
        alerts = self.see(*parts, observed=observed).alerts
        return [
            (one.rule_id, f"{one.device}/{one.quantity}" if one.device else one.gateway, one.transition)
            for one in alerts
        ]
