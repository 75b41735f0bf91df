"""Mapped readings from the bridge's core through the job's step into the books: copies are copies, and all closes."""

import msgspec
import numpy as np
import pytest

from connectors.mapping.load import parse_mappings
from connectors.mqtt.intake import Intake
from connectors.wire.mapped import MAPPED_BOOT, mapped_seq
from connectors.wire.record import Part, Readings, encode_record
from connectors.wire.summary import Judged
from connectors.wire.topics import READINGS
from deploy.books.close import close_books
from deploy.books.digest import pack_digest
from deploy.books.entries import Entries
from deploy.books.keys import Streams, pack_key
from jobs.windows import summary as job_summary
from jobs.windows.rules import compile_rules
from jobs.windows.shard import ShardState, Window, late, step
from jobs.windows.summary import judged_packs
from tests.support.bridge import NOW_MS, TABLE, Bench, pack

GRID = 10_000
CELL = NOW_MS // GRID * GRID
SHARDS = 2
FILE = """
site: s
gateway: gw
mappings:
  - name: rows
    topic: rows/{device}
    device: "{device}"
    each: "@"
    time: {at: ts, form: epoch_ms}
    readings: [{value: v, quantity: v}]
  - name: plain
    topic: plain/{device}
    format: text
    readings: [{value: "@", device: "{device}", quantity: v}]
"""


def rows(*pairs):
    return msgspec.json.encode([{"ts": CELL + ts, "v": v} for ts, v in pairs])


class Line:
    """A bridge (one process after another) on one topic of readings, and the job behind it."""

    def __init__(self):
        self.log, self.entries = [], Entries()
        self.states = {shard: ShardState(shard) for shard in range(SHARDS)}
        self.start()

    def start(self):
        self.bench = Bench(shards=SHARDS, intake=Intake(parse_mappings(FILE)))

    def flush(self):
        """Let the bridge write; return the new records as (partition, bytes)."""
        self.bench.pass_time()
        new = [(send.partition, send.value) for send in self.bench.sends if send.topic == READINGS]
        for partition, value in new:
            self.entries.record(value, partition, len(self.log))
            self.log.append((partition, value))
        self.bench.deliver()
        return new

    def judge(self, records, start_ms=CELL):
        for shard, state in self.states.items():
            mine = [value for partition, value in records if partition == shard]
            outcome = step(state, Window(shard, start_ms, start_ms + GRID, mine), compile_rules([]))
            assert not outcome.dead
            self.entries.summaries.add(outcome.summary)

    def late(self, records):
        for partition, value in records:
            outcome = late(self.states[partition], value, CELL + GRID, 0)
            assert not outcome.dead
            for one in outcome.late:
                self.entries.late_readings(one)

    def close(self):
        return close_books(self.entries, SHARDS, GRID)


def test_copies_by_redelivery_restart_and_overlap_count_once():
    line = Line()
    mid = line.bench.take(rows((0, 1.0), (1, 2.0), (2, 2.0)), "rows/a")
    first = line.flush()
    line.bench.connect()
    line.bench.take(rows((0, 1.0), (1, 2.0), (2, 2.0)), "rows/a", mid=mid, dup=True)
    again = line.flush()
    line.start()
    line.bench.take(rows((2, 2.0), (3, 2.0)), "rows/a")
    line.bench.take(rows((0, 1.0)), "rows/b")
    line.judge(first + again + line.flush())
    books = line.close()
    assert books.violations == ()
    assert (books.received, books.judged, books.late, books.duplicates) == (5, 5, 0, 4)


def test_a_copy_after_its_window_is_a_copy_and_a_new_reading_is_late():
    line = Line()
    line.bench.take(rows((0, 1.0), (1, 2.0)), "rows/a")
    line.judge(line.flush())
    line.bench.take(rows((1, 2.0), (2, 3.0)), "rows/a")
    line.late(line.flush())
    books = line.close()
    assert books.violations == ()
    assert (books.received, books.judged, books.late, books.duplicates) == (3, 2, 1, 1)


def test_they_need_no_ledger_and_no_order_beside_devices_that_have_both():
    line = Line()
    one = pack(readings=3, base_ms=CELL)
    devices = line.entries.with_devices()
    devices.committed("gw", one.boot, one.seq, 3, pack_digest(one))
    line.bench.take(b"5", "plain/x")
    line.bench.take_pack(one, oldest=1)
    for ts in (9, 3, 7, 1, 8, 2):
        line.bench.take(rows((ts, 1.0)), "rows/a")
    line.judge(line.flush())
    books = line.close()
    assert books.violations == ()
    assert (books.sent, books.received, books.judged, books.lost) == (3, 10, 10, 0)


def test_a_reading_that_no_window_judged_is_found():
    line = Line()
    line.bench.take(rows((0, 1.0)), "rows/a")
    line.judge(line.flush())
    line.bench.take(rows((5, 1.0)), "rows/a")
    line.flush()
    assert [one.name for one in line.close().violations] == ["not-judged"]


def test_a_mapped_part_of_two_readings_is_nothing_that_the_bridge_writes():
    entries = Entries()
    part = Part("s", "gw", MAPPED_BOOT, 5, 0, TABLE.id, bytes(8), bytes(8), np.ones(2).tobytes())
    entries.record(encode_record(Readings(cell_ms=0, parts=[part])), 0, 0)
    assert entries.undecodable == [(0, 0)]


def test_the_books_take_every_mapped_number():
    streams = Streams()
    stream = streams.id("gw", MAPPED_BOOT)
    seqs = [1, 2**48 - 1, mapped_seq("a", "b", CELL, 1.0)]
    for seq in seqs:
        pack_key(stream, seq >> 12)
    assert streams.mapped(np.array([pack_key(stream, 3)], np.uint64)).tolist() == [True]


@pytest.mark.parametrize("seqs", [range(1, 20, 2), [1, 2, 5, 6, 9]])
def test_a_summary_lists_no_more_ranges_than_kafka_takes(monkeypatch, seqs):
    monkeypatch.setattr(job_summary, "MAX_RANGES", 2)
    part = Part("s", "g", "b", 1, 0, "t", bytes(4), bytes(4), bytes(8))
    (judged,) = judged_packs([("g", "b", seq, 0, part) for seq in seqs], [])
    assert isinstance(judged, Judged)
    assert (len(judged.ranges), judged.readings) == (4, len(seqs))
