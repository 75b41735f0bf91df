"""What must come out: the same step as the job's, over all packs, sorted, once each, without Flink or faults.

The packs are split here anew, without the bridge's code, so that an error there shows as a difference.
"""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from connectors.wire.alert import AlertEvent
from connectors.wire.pack import Pack
from connectors.wire.record import Heartbeat, Part, Readings, encode_record
from connectors.wire.ruleset import RuleSet
from connectors.wire.series import SeriesTable
from connectors.wire.summary import WindowSummary
from jobs.windows.rules import compile_rules
from jobs.windows.shard import ShardState, Window, step

SITE = "test"
Row = tuple[str, str]
"""Device and quantity."""


@dataclass
class Expected:
    """What one gateway's readings must lead to.

    Attributes
    ----------
    rows
        Start of the window → series → the summary's numbers.
    """

    alerts: dict[str, AlertEvent] = field(default_factory=dict)
    rows: dict[int, dict[Row, tuple[float, ...]]] = field(default_factory=dict)
    readings: int = 0


NONE: frozenset[int] = frozenset()


def expect(
    gateway: str,
    packs: Iterable[Pack],
    tables: Iterable[SeriesTable],
    rules: RuleSet,
    window_ms: int,
    bad: Mapping[int, frozenset[int]] = MappingProxyType({}),
) -> Expected:
    """Judge a gateway's packs window by window; `bad` names readings that are not judged, by number and place."""
    windows: dict[int, list[bytes]] = defaultdict(list)
    known = {table.id: table for table in tables}
    for pack in sorted({pack.seq: pack for pack in packs}.values(), key=lambda one: one.seq):
        for cell_ms, part in _parts(gateway, pack, window_ms, bad.get(pack.seq, NONE)):
            record = Readings(cell_ms=cell_ms, parts=[part], tables=[known[pack.table]])
            windows[cell_ms].append(encode_record(record))
    expected = Expected()
    state, compiled = ShardState(0), compile_rules([rules])
    for start_ms in range(min(windows), max(windows) + window_ms, window_ms) if windows else ():
        records = [*windows[start_ms], encode_record(Heartbeat(time_ms=start_ms, bridge="offline"))]
        outcome = step(state, Window(0, start_ms, start_ms + window_ms, records), compiled)
        assert not outcome.late and not outcome.dead and outcome.summary is not None
        expected.alerts |= {alert.event_id: alert for alert in outcome.alerts}
        expected.rows[start_ms] = summary_rows(outcome.summary, known).get(gateway, {})
        expected.readings += outcome.summary.readings
    return expected


def _parts(gateway: str, pack: Pack, grid_ms: int, bad: frozenset[int]) -> list[tuple[int, Part]]:
    cells: dict[int, list[int]] = defaultdict(list)
    times: dict[int, int] = {}
    for index, offset in enumerate(pack.offsets_ms):
        if index not in bad and offset is not None:
            times[index] = math.floor(pack.base_ms + offset)
            cells[times[index] // grid_ms * grid_ms].append(index)
    return [
        (
            cell_ms,
            Part(
                site=SITE,
                gateway=gateway,
                boot=pack.boot,
                seq=pack.seq,
                received_ms=cell_ms,
                table=pack.table,
                offsets=array("I", [times[at] - cell_ms for at in places]).tobytes(),
                series=array("I", [pack.series[at] for at in places]).tobytes(),
                values=array("d", [pack.values[at] for at in places]).tobytes(),  # type: ignore[list-item]
                quality=bytes(pack.quality[at] for at in places) if pack.quality else b"",
                index=array("I", places).tobytes(),
            ),
        )
        for cell_ms, places in sorted(cells.items())
    ]


def summary_rows(summary: WindowSummary, tables: Mapping[str, SeriesTable]) -> dict[str, dict[Row, tuple[float, ...]]]:
    """Return gateway → series → (count, first, last, minimum, maximum, mean, spread, score) of rows with readings."""
    columns = [array("I", summary.count)]
    columns += [
        array("d", column)
        for column in (summary.first, summary.last, summary.minimum, summary.maximum, summary.mean, summary.spread)
    ]
    columns.append(array("f", summary.score))
    places = array("I", summary.series)
    found: dict[str, dict[Row, tuple[float, ...]]] = defaultdict(dict)
    at = 0
    for group in summary.groups:
        for row in range(at, at + group.rows):
            one = tables[group.table].series[places[row]]
            if columns[0][row]:
                found[group.gateway][one.device, one.quantity] = tuple(column[row] for column in columns)
        at += group.rows
    return dict(found)


def transitions(alerts: Iterable[AlertEvent]) -> set[tuple[str, str, str, int, str, int]]:
    """Return alerts without the gateway's name, to compare gateways with equal data."""
    return {(one.device, one.quantity, one.rule_id, one.raised_ms, one.transition, one.window_end_ms) for one in alerts}


def difference(got: Sequence[AlertEvent], expected: Mapping[str, AlertEvent]) -> str:
    """Say how the events differ from the expected ones (by event id), each there once; empty if they don't."""
    ids = Counter(event.event_id for event in got)
    missing = transitions(event for key, event in expected.items() if key not in ids)
    extra = [event.event_id for event in got if event.event_id not in expected]
    twice = [key for key, count in ids.items() if count > 1]
    found = {"missing": sorted(missing), "extra": extra, "twice": twice}
    return ", ".join(f"{len(some)} {what}: {some[:3]}" for what, some in found.items() if some)
