"""The peer: a plain consumer loop that does what the job does, without state that survives or exactly-once.

It takes the same records and calls the same `jobs.windows.shard.step` for each closed window. So what the comparison
measures is what Flink costs, and what its parallelism gives. Run as a process of its own:

    python -m deploy.bench.plain --bootstrap HOST:PORT --partitions 0,1,2 --window-ms 10000 --disorder-ms 10000 \
        --rules FILE --output TOPIC
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from connectors.rules.load import load_rules
from connectors.wire.topics import READINGS
from connectors.wire.versions import to_msgpack
from jobs.windows.rules import CompiledRules, compile_rules
from jobs.windows.shard import ShardState, Window, step


class PlainLoop:
    """Windows by shard over a consumer's batches."""

    def __init__(self, rules: CompiledRules, window_ms: int, disorder_ms: int, producer: Producer, output: str) -> None:
        self.rules = rules
        self.window_ms = window_ms
        self.disorder_ms = disorder_ms
        self.producer = producer
        self.output = output
        self.states: dict[int, ShardState] = {}
        self.open: dict[int, dict[int, list[bytes]]] = defaultdict(lambda: defaultdict(list))
        self.newest: dict[int, int] = defaultdict(int)
        self.readings = 0
        self.windows = 0
        self.alerts = 0

    def take(self, partition: int, timestamp_ms: int, value: bytes) -> None:
        """Put a record into its window."""
        start_ms = timestamp_ms - timestamp_ms % self.window_ms
        self.open[partition][start_ms].append(value)
        self.newest[partition] = max(self.newest[partition], timestamp_ms)

    def close_ready(self) -> None:
        """Judge every window that the watermark has passed."""
        for partition, windows in self.open.items():
            watermark = self.newest[partition] - self.disorder_ms
            for start_ms in sorted(windows):
                if start_ms + self.window_ms - 1 > watermark:
                    break
                self._judge(partition, start_ms, windows.pop(start_ms))

    def _judge(self, partition: int, start_ms: int, values: list[bytes]) -> None:
        state = self.states.get(partition)
        if state is None:
            state = self.states[partition] = ShardState.restore(partition, None, {})
        outcome = step(state, Window(partition, start_ms, start_ms + self.window_ms, values), self.rules)
        self.alerts += len(outcome.alerts)
        if outcome.summary is not None:
            self.producer.produce(self.output, to_msgpack(outcome.summary), key=str(partition).encode())
            self.readings += outcome.summary.readings
        self.producer.poll(0)
        self.windows += 1


def run(bootstrap: str, partitions: list[int], loop: PlainLoop) -> dict[str, Any]:
    """Read `partitions` from their beginning to their end and return the counts and seconds."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench-plain",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.max.bytes": 64 * 2**20,
            "max.partition.fetch.bytes": 4 * 2**20,
            "queued.max.messages.kbytes": 262_144,
            "enable.partition.eof": False,
        }
    )
    consumer.assign([TopicPartition(READINGS, one, OFFSET_BEGINNING) for one in partitions])
    ends = {one: consumer.get_watermark_offsets(TopicPartition(READINGS, one), timeout=30)[1] for one in partitions}
    left = {one for one, end in ends.items() if end > 0}
    started = time.perf_counter()
    cpu_started = time.process_time()
    while left:
        for message in consumer.consume(2000, timeout=1.0):
            if message.error():
                raise RuntimeError(f"reading {READINGS}: {message.error()}")
            partition = message.partition()
            loop.take(partition, message.timestamp()[1], message.value())
            if message.offset() + 1 >= ends[partition]:
                left.discard(partition)
        loop.close_ready()
    loop.producer.flush(60)
    consumer.close()
    return {
        "readings": loop.readings,
        "windows": loop.windows,
        "alerts": loop.alerts,
        "total_s": time.perf_counter() - started,
        "cpu_s": time.process_time() - cpu_started,
    }


def main() -> None:
    """Run the loop and print its result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--partitions", required=True, help="comma-separated")
    parser.add_argument("--window-ms", type=int, required=True)
    parser.add_argument("--disorder-ms", type=int, required=True)
    parser.add_argument("--rules", type=Path, required=True)
    parser.add_argument("--output", required=True, help="Kafka topic of the summaries")
    options = parser.parse_args()
    producer = Producer({"bootstrap.servers": options.bootstrap, "enable.idempotence": True, "compression.type": "lz4"})
    rules = compile_rules([load_rules(options.rules)])
    loop = PlainLoop(rules, options.window_ms, options.disorder_ms, producer, options.output)
    json.dump(run(options.bootstrap, [int(one) for one in options.partitions.split(",")], loop), sys.stdout)


if __name__ == "__main__":
    main()
