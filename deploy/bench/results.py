"""What a cell of the benchmark wrote: window summaries, when each was appended, and a digest of what it says."""

import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from connectors.wire.summary import WindowSummary
from connectors.wire.versions import from_msgpack

STALL_SECONDS = 120.0
"""Ends the wait for summaries of a job that hangs; the longest pause of a healthy one is its start-up."""


@dataclass(frozen=True)
class Written:
    """One summary: when the broker appended it (wall time), how many readings it judged, and a hash of its content."""

    append_ms: int
    readings: int
    digest: str


Summaries = dict[tuple[int, int], Written]
"""By (shard, start of the window)."""


def digest(summary: WindowSummary) -> str:
    """Return a hash of what a summary says, but for where in Kafka its records lie."""
    return sha256(msgspec.msgpack.encode(msgspec.structs.replace(summary, first_offset=-1, last_offset=-1))).hexdigest()


def read_summaries(bootstrap: str, topic: str, expected: int) -> Summaries:
    """Read committed summaries from the beginning until there are `expected` of them.

    Raises
    ------
    TimeoutError
        If none came for `STALL_SECONDS`.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench-summaries",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, one, OFFSET_BEGINNING) for one in partitions])
    found: Summaries = {}
    heard_at = time.monotonic()
    while len(found) < expected:
        for message in consumer.consume(500, timeout=0.5):
            found |= _written(message)
            heard_at = time.monotonic()
        if time.monotonic() - heard_at > STALL_SECONDS:
            raise TimeoutError(f"{topic}: {len(found)} of {expected} window summaries, and none for {STALL_SECONDS} s")
    consumer.close()
    return found


def _written(message: Any) -> Summaries:
    if message.error():
        raise RuntimeError(f"reading summaries: {message.error()}")
    summary = from_msgpack(WindowSummary, message.value())
    key = (summary.shard, summary.start_ms)
    return {key: Written(message.timestamp()[1], summary.readings, digest(summary))}


WARM_UP_SHARE = 1 / 3
"""Of all readings: what a contender judges before its rate counts. Java compiles for half a minute as it begins."""


def steady_rate(summaries: Summaries) -> tuple[float, float]:
    """Return readings per second after the warm-up, and for how many seconds that went on.

    >>> at_s = {0: 10, 1: 20, 2: 21, 3: 22}
    >>> steady_rate({(0, window): Written(second * 1000, 100, "") for window, second in at_s.items()})
    (100.0, 2.0)
    """
    written = sorted(summaries.values(), key=lambda one: one.append_ms)
    warm_up = WARM_UP_SHARE * sum(one.readings for one in written)
    seen = warm_at = 0
    while seen < warm_up:
        seen += written[warm_at].readings
        warm_at += 1
    counted = written[warm_at:]
    seconds = (counted[-1].append_ms - written[warm_at - 1].append_ms) / 1000
    return sum(one.readings for one in counted) / seconds, seconds


def differences(one: Summaries, other: Summaries) -> list[str]:
    """Return how two cells differ, a sentence a window; empty if they judged alike."""
    missing = [f"shard {shard} window {start}: only in one" for shard, start in sorted(one.keys() ^ other.keys())]
    unequal = [
        f"shard {shard} window {start}: judged differently"
        for shard, start in sorted(one.keys() & other.keys())
        if one[shard, start].digest != other[shard, start].digest
    ]
    return missing + unequal
