"""Throughput of the job beside a plain loop: `python -m deploy.bench.throughput`, or `make bench`.

One run, one Kafka, the same packs: the job under `flink run` (checkpoints and exactly-once sinks on), then the plain
loop in one process, then in two. All judge with the shipped rules, and their summaries must be equal. What counts is
the ratio: the machine's own speed drifts.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.kit.settings import FlinkSettings, Settings, StackSettings, TopicSettings
from connectors.wire.topics import READINGS, WINDOW_SUMMARIES
from deploy.bench.load import Load, publish
from deploy.bench.results import Summaries, differences, read_summaries, steady_rate
from deploy.local.flink.submit import stop as stop_job
from deploy.local.flink.submit import submit
from deploy.local.ports import on_free_ports
from deploy.local.stack import Stack

RULES = Path(__file__).parents[2] / "connectors" / "rules" / "default.yaml"
SHARDS = 32
PARALLELISM = 2


@dataclass(frozen=True)
class Cell:
    """What one contender did.

    Attributes
    ----------
    rate
        Readings per second after the first third of them, which is the warm-up.
    steady_s
        Those seconds.
    total_s
        From its start (for the job: from `flink run`) to the last summary.
    cpu_s_per_million
        CPU seconds of its processes per million readings, Kafka's left out.
    """

    name: str
    rate: float
    steady_s: float
    total_s: float
    cpu_s_per_million: float
    readings: int
    summaries: Summaries = field(repr=False, compare=False)


def settings() -> Settings:
    """Return the settings of the bench's own stack."""
    return on_free_ports(
        Settings(
            topics=TopicSettings(shards=SHARDS, keep_everything=True),
            flink=FlinkSettings(parallelism=PARALLELISM),
            stack=StackSettings(parts=["kafka", "flink"], task_slots=PARALLELISM, kafka_heap_mib=1024),
        )
    )


def run_job(stack: Stack, load: Load) -> Cell:
    """Submit the job on the loaded topic and wait for its last window."""
    before = _cpu(stack)
    started = time.time()
    submit(stack.settings, fresh=True, echo=_say)
    summaries = read_summaries(stack.settings.kafka.bootstrap, WINDOW_SUMMARIES, load.windows * load.shards)
    cpu = _cpu(stack) - before
    stop_job(stack.settings, _say)
    return _cell("job", summaries, started, cpu)


def run_plain(stack: Stack, load: Load, processes: int) -> Cell:
    """Run the plain loop in so many processes."""
    bootstrap = stack.settings.kafka.bootstrap
    output = f"bench.plain.{processes}"
    admin = AdminClient({"bootstrap.servers": bootstrap})  # Ends, with its answers, when nobody holds it.
    created = admin.create_topics(
        [NewTopic(output, load.shards, 1, config={"message.timestamp.type": "LogAppendTime"})]
    )
    for each in created.values():
        each.result()
    started = time.time()
    running = [
        _start_plain(stack.settings, output, list(range(load.shards))[one::processes]) for one in range(processes)
    ]
    results = [json.loads(process.communicate()[0]) for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError("the plain loop failed; its error stands above")
    summaries = read_summaries(bootstrap, output, load.windows * load.shards)
    return _cell(f"plain-{processes}", summaries, started, sum(one["cpu_s"] for one in results))


def _start_plain(used: Settings, output: str, partitions: list[int]) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, "-m", "deploy.bench.plain", "--bootstrap", used.kafka.bootstrap, "--output", output]
    argv += ["--partitions", ",".join(map(str, partitions)), "--rules", str(RULES)]
    argv += ["--window-ms", str(used.time.window_ms), "--disorder-ms", str(used.time.disorder_ms)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE)


def _cell(name: str, summaries: Summaries, started: float, cpu_s: float) -> Cell:
    rate, steady_s = steady_rate(summaries)
    readings = sum(one.readings for one in summaries.values())
    last_s = max(one.append_ms for one in summaries.values()) / 1000
    return Cell(name, rate, steady_s, last_s - started, cpu_s / readings * 1e6, readings, summaries)


def _cpu(stack: Stack) -> float:
    """Return the CPU seconds of Flink's processes, workers included."""
    total = 0.0
    for part, pids in stack.pids().items():
        if part in ("jobmanager", "taskmanager"):
            for pid in pids:
                used = psutil.Process(pid).cpu_times()
                total += used.user + used.system
    return total


def measure(load: Load, folder: Path) -> dict[str, Any]:
    """Run all cells on one stack below `folder` and return the report."""
    with Stack(settings(), folder, _say) as stack:
        stack.start(["kafka", "flink"], fresh=True)
        _say(f"writing {load.readings:,} readings of {load.series:,} series in packs of {load.series_each}")
        seconds = publish(load, stack.settings.kafka.bootstrap, READINGS)
        _say(f"written in {seconds:.0f} s; now the job")
        cells = [run_job(stack, load)]
        stack.stop(["taskmanager", "jobmanager"])
        for processes in (1, 2):
            _say(f"now the plain loop in {processes} process{'es' if processes > 1 else ''}")
            cells.append(run_plain(stack, load, processes))
    return report(load, cells)


def report(load: Load, cells: list[Cell]) -> dict[str, Any]:
    """Put the cells side by side; `unequal` lists where their summaries differ."""
    one = next(cell for cell in cells if cell.name == "plain-1")
    rows = []
    for cell in cells:
        row = {name: value for name, value in asdict(cell).items() if name != "summaries"}
        rows.append(row | {"ratio_to_plain_1": cell.rate / one.rate})
    return {
        "machine": machine(),
        "load": asdict(load) | {"series": load.series, "readings": load.readings},
        "cells": rows,
        "unequal": differences(cells[0].summaries, one.summaries) + differences(one.summaries, cells[-1].summaries),
    }


def machine() -> dict[str, Any]:
    """Return what a figure has to be read with."""
    return {
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def table(result: dict[str, Any]) -> str:
    """Return the report as text."""
    load, used = result["load"], result["machine"]
    lines = [
        f"{load['readings']:,} readings, {load['series']:,} series, packs of {load['series_each']}, "
        f"{used['cores']} cores, {used['memory_gib']} GiB, Python {used['python']}; rates after the first third",
        f"{'':10} {'readings/s':>12} {'of plain-1':>11} {'CPU s/million':>14} {'steady s':>9} {'with start s':>13}",
    ]
    for cell in result["cells"]:
        lines.append(
            f"{cell['name']:10} {cell['rate']:12,.0f} {cell['ratio_to_plain_1']:11.2f} "
            f"{cell['cpu_s_per_million']:14.2f} {cell['steady_s']:9.1f} {cell['total_s']:13.1f}"
        )
    lines.append(
        "all judged alike" if not result["unequal"] else f"{len(result['unequal'])} windows judged differently"
    )
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Run, print the table, write `throughput.json`; exit 1 if the contenders judged differently."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=72, help="windows of 10 s; 1,000,000 readings each by default")
    parser.add_argument("--gateways", type=int, default=1000, help="gateways of 100 series each")
    parser.add_argument("--folder", type=Path, default=Path("var/bench"), help="where the stack and the report lie")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args()
    result = measure(Load(gateways=options.gateways, windows=options.windows), options.folder.absolute() / "stack")
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "throughput.json").write_text(json.dumps(result, indent=2) + "\n")
    (options.folder / "throughput.txt").write_text(table(result) + "\n")
    print(json.dumps(result) if options.json else table(result))
    sys.exit(1 if result["unequal"] else 0)


if __name__ == "__main__":
    main()
