"""How well the shipped rules find what they should: `python -m deploy.bench.quality --seeds 50 --machine`.

It judges what the demo judges, with the step that the job runs, but without Kafka, Flink and clock: the simulated
fleet with its faults for many seeds, and the recorded series with their labelled windows. It prints a table and
writes JSON.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from connectors.rules.load import DEFAULT_RULES, load_rules
from connectors.wire.alert import AlertEvent
from connectors.wire.record import Heartbeat, Part, Readings, encode_record
from connectors.wire.series import SeriesTable
from connectors.wire.topics import DAY_MS
from deploy.demo.plan import GRID_MS, demo_fleet, make_plan, replayed, replayed_labels
from deploy.demo.recordings import MACHINE, RECORDED, Recorded
from jobs.windows.rules import CompiledRules, compile_rules
from jobs.windows.shard import ShardState, Window, step
from simulators.fleet import Fleet
from simulators.truth.score import FleetScore, raised, score_fleet, score_labels

NOW_MS = 1_790_000_000_000
"""When the run pretends to be made: only the dates depend on it, and through them the fleet's times of day."""

AIMS = {"recall": 0.9, "recall of each kind": 0.8, "precision": 0.9}
BLOCK = 96


class Sum(msgspec.Struct, frozen=True):
    """Figures of one seed."""

    seed: int
    recall: float
    recall_by_fault: dict[str, float]
    precision: float
    faults: int
    false_alerts: int
    false_by_rule: dict[str, int]
    median_delay_windows: float
    seconds: float

    @property
    def passes(self) -> bool:
        """Whether the figures are those that the demo must reach."""
        weakest = min(self.recall_by_fault.values(), default=1.0)
        enough = weakest >= AIMS["recall of each kind"]
        return enough and self.recall >= AIMS["recall"] and self.precision >= AIMS["precision"]


def part_of(gateway: str, table: SeriesTable, cell_ms: int, times: Any, values: Any) -> Part | None:
    """Return one gateway's readings of a cell as a part; None if there are none.

    Parameters
    ----------
    times
        `int64` (readings,), ms.
    values
        `float64` (readings, series); NaN where there is none.
    """
    rows, columns = np.nonzero(~np.isnan(values))
    if not rows.size:
        return None
    offsets = (times[rows] - cell_ms).astype("<u4").tobytes()
    index = columns.astype("<u4").tobytes()
    seq = cell_ms // GRID_MS
    return Part("bench", gateway, "quality", seq, cell_ms, table.id, offsets, index, values[rows, columns].tobytes())


def judge_all(
    windows: Iterator[tuple[int, list[Part]]], tables: Sequence[SeriesTable], rules: CompiledRules
) -> list[AlertEvent]:
    """Judge windows `(start, parts)` in order, as one shard, and return the alert events."""
    state = ShardState(0)
    first = list(tables)
    events: list[AlertEvent] = []
    for start_ms, parts in windows:
        records = [encode_record(Heartbeat(time_ms=start_ms, bridge="quality"))]
        if parts:
            records.append(encode_record(Readings(cell_ms=start_ms, parts=parts, tables=first)))
            first = []
        events += step(state, Window(0, start_ms, start_ms + GRID_MS, records), rules).alerts
    return events


def fleet_windows(fleet: Fleet) -> Iterator[tuple[int, list[Part]]]:
    """Yield each window of a fleet with one part a gateway."""
    for first in range(0, fleet.windows, BLOCK):
        count = min(BLOCK, fleet.windows - first)
        block, times = fleet.block(first, count), fleet.times(first, count)
        for at in range(count):
            start_ms = fleet.start_ms + (first + at) * GRID_MS
            parts = [
                part_of(one.name, one.table, start_ms, times[at], block[at, :, one.first : one.last])
                for one in fleet.gateways
            ]
            yield start_ms, [part for part in parts if part is not None]


def judge_fleet(fleet: Fleet, rules: CompiledRules) -> FleetScore:
    """Judge a fleet and compare with the truth."""
    events = judge_all(fleet_windows(fleet), [one.table for one in fleet.gateways], rules)
    return score_fleet(fleet.faults, events, {one.name for one in fleet.gateways}, GRID_MS)


def judge_seed(seed: int, rules: CompiledRules) -> Sum:
    """Judge the demo's fleet of a seed."""
    started = time.perf_counter()
    score = judge_fleet(demo_fleet(make_plan(NOW_MS, seed)), rules)
    by_rule: dict[str, int] = {}
    for event in score.false_alerts:
        by_rule[event.rule_id] = by_rule.get(event.rule_id, 0) + 1
    return Sum(
        seed=seed,
        recall=score.recall,
        recall_by_fault=score.recall_by_fault,
        precision=score.precision,
        faults=score.faults,
        false_alerts=len(score.false_alerts),
        false_by_rule=by_rule,
        median_delay_windows=float(np.median(score.delay_windows)) if score.delay_windows else 0.0,
        seconds=round(time.perf_counter() - started, 1),
    )


def judge_recorded(recorded: Recorded, rules: CompiledRules) -> dict[str, Any]:
    """Judge a recorded series as the demo replays it."""
    plan = make_plan(NOW_MS, 0)
    recording = replayed(recorded, plan)
    cells = recording.times // GRID_MS * GRID_MS

    def windows() -> Iterator[tuple[int, list[Part]]]:
        for start_ms in range(int(cells[0]), int(cells[-1]) + GRID_MS, GRID_MS):
            here = slice(*np.searchsorted(cells, [start_ms, start_ms + 1]))
            part = part_of(recorded.gateway, recorded.table, start_ms, recording.times[here], recording.values[here])
            yield start_ms, [part] if part is not None else []

    events = judge_all(windows(), [recorded.table], rules)
    score = score_labels(replayed_labels(recorded, plan), events, recorded.key, GRID_MS, plan.end_ms)
    by_rule: dict[str, int] = {}
    for event in raised(events):
        by_rule[event.rule_id] = by_rule.get(event.rule_id, 0) + 1
    return {
        "series": recorded.file.removesuffix(".csv"),
        "windows_total": score.windows_total,
        "windows_found": score.windows_found,
        "raised_inside": score.raised_inside,
        "raised_outside": score.raised_outside,
        "raised_by_rule": by_rule,
        "longest_active_days": round(score.longest_active_ms / DAY_MS, 2),
    }


def seed_line(one: Sum) -> str:
    """Return a seed's figures as a line of the table."""
    kinds = "  ".join(
        f"{one.recall_by_fault.get(kind, 1.0):6.3f}" for kind in ("spike", "shift", "drift", "stuck", "dropout")
    )
    rest = f"{one.precision:9.3f}  {one.false_alerts:5d}  {one.seconds:5.1f} s  {'ok' if one.passes else 'FAILS'}"
    return f"{one.seed:10d}  {one.recall:6.3f}  {kinds}  {rest}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement; 0 if all but one seed in fifty, and the machine if asked for, are as the demo needs
    them.
    """
    parser = argparse.ArgumentParser(prog="python -m deploy.bench.quality", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--machine", action="store_true", help="judge the recorded series too")
    parser.add_argument("--rules", type=Path, default=DEFAULT_RULES)
    parser.add_argument("--out", type=Path, default=Path("var/bench/quality.json"))
    options = parser.parse_args(arguments)
    rules = compile_rules([load_rules(options.rules)])
    if rules.errors:
        sys.stderr.write("\n".join(rules.errors) + "\n")
        return 2
    recorded = [judge_recorded(one, rules) for one in RECORDED] if options.machine else []
    for one in recorded:
        sys.stdout.write(f"{one}\n")
    sys.stdout.write("      seed  recall   spike   shift   drift   stuck  dropout  precision  false     time\n")
    sums = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        sums.append(judge_seed(seed, rules))
        sys.stdout.write(seed_line(sums[-1]) + "\n")
        sys.stdout.flush()
    good = sum(one.passes for one in sums)
    machine = next((one for one in recorded if one["series"] == MACHINE.file.removesuffix(".csv")), None)
    result = {"seeds": [msgspec.to_builtins(one) for one in sums], "seeds_good": good, "recorded": recorded}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(f"{good} of {len(sums)} seeds reach the aims {AIMS}; written to {options.out}\n")
    return 0 if good * 50 >= len(sums) * 49 and _machine_passes(machine) else 1


def _machine_passes(machine: dict[str, Any] | None) -> bool:
    if machine is None:
        return True
    enough = machine["windows_found"] >= 3 and machine["raised_outside"] <= 11
    return bool(enough and machine["longest_active_days"] <= 3)


if __name__ == "__main__":
    sys.exit(main())
