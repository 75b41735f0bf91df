"""The benchmark's load: packs of one reading of each of a gateway's series, as the bridge would write them to Kafka."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from connectors.wire.partition import shard_of
from connectors.wire.record import Heartbeat, Part, Readings, encode_record
from connectors.wire.series import Series, SeriesTable, series_table

START_MS = 1_750_000_000_000


@dataclass(frozen=True)
class Load:
    """How much, of what.

    Attributes
    ----------
    gateways, series_each
        Their product is the number of series; a pack has `series_each` readings.
    packs_a_window
        Packs of each gateway in a window.
    windows, window_ms, shards, seed
        As they say. The grid is the window.
    """

    gateways: int = 1000
    series_each: int = 100
    packs_a_window: int = 10
    windows: int = 24
    window_ms: int = 10_000
    shards: int = 32
    seed: int = 1

    @property
    def series(self) -> int:
        """Return the number of series."""
        return self.gateways * self.series_each

    @property
    def readings(self) -> int:
        """Return the number of readings."""
        return self.series * self.packs_a_window * self.windows

    def table(self, gateway: int) -> SeriesTable:
        """Return the series table of a gateway."""
        return series_table(
            tuple(Series(f"device-{gateway}-{at // 4}", f"quantity-{at % 4}", "Cel") for at in range(self.series_each))
        )


@dataclass(frozen=True)
class Record:
    """One Kafka record: partition, timestamp (ms) and value."""

    partition: int
    timestamp_ms: int
    value: bytes


class _Gateways:
    """What stays the same from pack to pack."""

    def __init__(self, load: Load) -> None:
        self.names = [f"gateway-{gateway}" for gateway in range(load.gateways)]
        self.shards = [shard_of(name, load.shards) for name in self.names]
        self.tables = [load.table(gateway) for gateway in range(load.gateways)]
        self.columns = np.arange(load.series_each, dtype="<u4").tobytes()
        self.rng = np.random.default_rng(load.seed)
        self.level = self.rng.normal(50.0, 10.0, (load.gateways, load.series_each))


def records(load: Load) -> Iterator[Record]:
    """Yield the load in order of time, and after it the heartbeats that close the last window (cost: 15 µs a pack)."""
    gateways = _Gateways(load)
    for window in range(load.windows + 2):
        start_ms = START_MS + window * load.window_ms
        for shard in range(load.shards):
            yield Record(shard, start_ms, encode_record(Heartbeat(time_ms=start_ms, bridge="bench")))
        if window < load.windows:
            for pack in range(load.packs_a_window):
                yield from _packs(load, gateways, start_ms, window * load.packs_a_window + pack)


def _packs(load: Load, gateways: _Gateways, start_ms: int, number: int) -> Iterator[Record]:
    pack = number % load.packs_a_window
    offset_ms = pack * load.window_ms // load.packs_a_window
    offsets = np.full(load.series_each, offset_ms, dtype="<u4").tobytes()
    values = gateways.level + gateways.rng.normal(0.0, 1.0, gateways.level.shape)
    for gateway, name in enumerate(gateways.names):
        table = gateways.tables[gateway]
        part = Part(
            site="bench",
            gateway=name,
            boot="b",
            seq=number + 1,
            received_ms=start_ms + offset_ms,
            table=table.id,
            offsets=offsets,
            series=gateways.columns,
            values=values[gateway].tobytes(),
        )
        record = Readings(cell_ms=start_ms, parts=[part], tables=[table] if pack == 0 else [])
        yield Record(gateways.shards[gateway], start_ms + offset_ms, encode_record(record))


def publish(load: Load, bootstrap: str, topic: str) -> float:
    """Write the load to Kafka and return the seconds it took."""
    from confluent_kafka import Producer

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 20,
            "batch.size": 2**20,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 262_144,
        }
    )
    started = time.perf_counter()
    for record in records(load):
        while True:
            try:
                producer.produce(topic, record.value, partition=record.partition, timestamp=record.timestamp_ms)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(120)
    if left:
        raise RuntimeError(f"{left} records did not reach Kafka at {bootstrap} within 120 s")
    return time.perf_counter() - started
