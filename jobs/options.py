"""What the detect job is told on its command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Delivery = Literal["exactly-once", "low-latency"]


@dataclass(frozen=True)
class Options:
    """The job's parameters; each is a flag of the same name, with hyphens.

    Attributes
    ----------
    bootstrap
        Kafka's bootstrap servers.
    window_ms, disorder_ms
        Event time: the tumbling window, and how far a gateway may lag behind its partition's others.
    shards
        Partitions of the readings topic.
    parallelism
        Subtasks of each operator; 0 leaves it to `flink run -p` and the cluster.
    checkpoint_ms
        Interval of checkpoints, wall time: what is written exactly once is visible after the next.
    checkpoint_dir
        URI of a durable folder; empty leaves it to the cluster's `execution.checkpointing.dir`.
    delivery
        `exactly-once`, or `low-latency`: at least once, with the same ids, some 500 ms earlier.
    transactional_prefix
        Names the job's Kafka transactions; two jobs on one Kafka need two.
    kafka_properties
        A Java properties file with the client's security options.
    start_ms
        Event time of the first readings of a fresh start; None is the earliest there are.
    start_after
        A file: the job is planned at once and started when it is there, so a stack plans while its parts start.
    """

    bootstrap: str = "127.0.0.1:19092"
    window_ms: int = 10_000
    disorder_ms: int = 10_000
    shards: int = 32
    parallelism: int = 0
    checkpoint_ms: int = 1_000
    checkpoint_dir: str = ""
    delivery: Delivery = "exactly-once"
    transactional_prefix: str = "tidemark-detect"
    kafka_properties: Path | None = None
    start_ms: int | None = None
    start_after: Path | None = None
    name: str = "tidemark-detect"


def parse(argv: Sequence[str] | None = None) -> Options:
    """Read the command line; what is wrong ends the program with a message and code 2."""
    default = Options()
    parser = argparse.ArgumentParser(
        prog="detect.py", description="Tidemark's detect job, submitted by `flink run -py`."
    )
    add = parser.add_argument
    add("--bootstrap", default=default.bootstrap, help="Kafka's bootstrap servers")
    add("--window-ms", type=_positive, default=default.window_ms, help="tumbling window, event time")
    add("--disorder-ms", type=_natural, default=default.disorder_ms, help="how far a gateway may lag behind")
    add("--shards", type=_positive, default=default.shards, help="partitions of the readings topic")
    add("--parallelism", type=_natural, default=default.parallelism, help="subtasks; 0: as flink run -p says")
    add("--checkpoint-ms", type=_positive, default=default.checkpoint_ms, help="checkpoint interval, wall time")
    add("--checkpoint-dir", default=default.checkpoint_dir, help="URI of a durable folder; empty: the cluster's")
    add("--delivery", choices=("exactly-once", "low-latency"), default=default.delivery, help="promise of the outputs")
    add("--transactional-prefix", default=default.transactional_prefix, help="names the Kafka transactions")
    add("--kafka-properties", type=Path, default=None, help="Java properties file with the security options")
    add("--start-ms", type=_natural, default=None, help="event time of a fresh start's first readings")
    add("--start-after", type=Path, default=None, help="plan at once, start when this file is there")
    add("--name", default=default.name, help="the job's name in Flink")
    return Options(**vars(parser.parse_args(argv)))


def _natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be positive")
    return value
