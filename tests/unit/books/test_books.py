"""The books on a small sound pipeline, and on pipelines broken on purpose: each fault is caught by its name."""

from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import pytest

from connectors.wire.ledger import DeadLetter, LateReadings
from connectors.wire.pack import Pack
from connectors.wire.partition import shard_of
from connectors.wire.record import Heartbeat, Part, Readings, encode_record
from connectors.wire.summary import Judged, WindowSummary
from deploy.books.close import Books, close_books
from deploy.books.digest import pack_digest
from deploy.books.entries import Entries

GRID, SHARDS, CELLS, PER_PACK = 1_000, 4, 6, 5
GATEWAYS = ("gw-a", "gw-b", "gw-c")


def pack(gateway, seq, bad=()):
    """Pack `seq` of a gateway: five readings over the end of cell seq-1 and the start of cell `seq`."""
    seed = sum(gateway.encode()) * 1000 + seq
    values = [float(seed + i) for i in range(PER_PACK)]
    for index in bad:
        values[index] = None
    return Pack(
        boot=f"boot-{gateway}",
        seq=seq,
        table="0" * 16,
        base_ms=seq * GRID - 300,
        offsets_ms=[0, 150, 300, 450, 600],
        series=[0, 1, 0, 1, 0],
        values=values,
    )


def cut(gateway, one, bad=()):
    """Split a pack at the grid, as the bridge does: cell → part."""
    rows: dict[int, list[int]] = {}
    for index, offset in enumerate(one.offsets_ms):
        if index not in bad:
            rows.setdefault(int(one.base_ms + offset) // GRID * GRID, []).append(index)
    return {
        cell: Part(
            site="s",
            gateway=gateway,
            boot=one.boot,
            seq=one.seq,
            received_ms=0,
            table=one.table,
            offsets=np.array([one.base_ms + one.offsets_ms[i] - cell for i in picked], "<u4").tobytes(),
            series=np.array([one.series[i] for i in picked], "<u4").tobytes(),
            values=np.array([one.values[i] for i in picked], "<f8").tobytes(),
            index=b"" if len(picked) == PER_PACK else np.array(picked, "<u4").tobytes(),
        )
        for cell, picked in rows.items()
    }


@dataclass
class Pipeline:
    """What each hop holds; a test breaks one of them."""

    sent: list = field(default_factory=list)  # (gateway, pack)
    acked: dict = field(default_factory=dict)
    waiting: set = field(default_factory=set)
    log: list = field(default_factory=list)  # (partition, cell, part), in order
    late: list = field(default_factory=list)
    dead: list = field(default_factory=list)
    summaries: list = field(default_factory=list)
    kafka: list = field(default_factory=lambda: ["e1", "e2", "e3"])
    influx: list = field(default_factory=lambda: ["e3", "e1", "e2"])
    webhook: list = field(default_factory=lambda: ["e1", "e2", "e3", "e1"])

    def judge(self):
        """Make the summaries of what lies in the log but in the late list."""
        late = {(one.cell_ms, part.gateway, part.seq) for one in self.late for part in one.parts}
        windows: dict = {}
        for partition, cell, part in self.log:
            if (cell, part.gateway, part.seq) not in late:
                windows.setdefault((partition, cell), []).append(part)
        self.summaries = [summary(shard, cell, parts) for (shard, cell), parts in windows.items()]
        return self

    def close(self) -> Books:
        """Close the books on it."""
        entries = Entries()
        devices = entries.with_devices()
        for gateway, one in self.sent:
            devices.committed(gateway, one.boot, one.seq, len(one.values), pack_digest(one))
        for gateway, seq in self.acked.items():
            devices.acked(gateway, f"boot-{gateway}", seq)
        for gateway, seq in self.waiting:
            devices.waiting(gateway, f"boot-{gateway}", seq)
        for offset, (partition, cell, part) in enumerate(self.log):
            entries.record(encode_record(Readings(cell_ms=cell, parts=[part])), partition, offset)
        entries.record(encode_record(Heartbeat(time_ms=0, bridge="b")), 0, 10_000)
        for each, take in ((self.summaries, entries.summaries.add), (self.late, entries.late_readings)):
            for one in each:
                take(one)
        for letter in self.dead:
            entries.dead.add(letter)
        entries.alert_events, entries.influx_events, entries.webhook_events = self.kafka, self.influx, self.webhook
        return close_books(entries, SHARDS, GRID)


def summary(shard, cell, parts):
    """Judge the parts of one window: distinct by (gateway, boot, seq)."""
    first = {(part.gateway, part.boot, part.seq): part for part in parts}
    judged = [Judged(g, b, [seq, seq], len(part.values) // 8) for (g, b, seq), part in first.items()]
    total = sum(len(part.values) // 8 for part in parts)
    readings = sum(one.readings for one in judged)
    columns = dict.fromkeys("series count first last minimum maximum mean spread score learning".split(), b"")
    return WindowSummary(
        shard=shard,
        start_ms=cell,
        end_ms=cell + GRID,
        observed=True,
        readings=readings,
        duplicates=total - readings,
        rule_version=1,
        first_offset=0,
        last_offset=0,
        groups=[],
        judged=judged,
        **columns,
    )


@pytest.fixture
def sound():
    """A pipeline with nothing wrong, judged already."""
    line = Pipeline()
    for seq in range(1, CELLS):
        for gateway in GATEWAYS:
            one = pack(gateway, seq)
            line.sent.append((gateway, one))
            line.log += [(shard_of(gateway, SHARDS), cell, part) for cell, part in cut(gateway, one).items()]
    line.acked = dict.fromkeys(GATEWAYS, CELLS - 1)
    return line.judge()


def names(books):
    """Return the violations' names."""
    return {one.name for one in books.violations}


def without(line, gateway, seq):
    """Drop every part of a pack from the log."""
    line.log = [row for row in line.log if (row[2].gateway, row[2].seq) != (gateway, seq)]


def letter(gateway, one, indexes=(), readings=1, service="bridge", source="t"):
    """Return a dead letter of a pack."""
    return DeadLetter(
        service=service,
        reason="bad-value",
        detail="",
        source=source,
        received_ms=0,
        payload=b"",
        gateway=gateway,
        boot=one.boot,
        seq=one.seq,
        indexes=list(indexes),
        readings=readings,
    )


def late_record(shard, cell, part, offset):
    """Return a record of the late topic."""
    readings = len(part.values) // 8
    return LateReadings(
        shard=shard, cell_ms=cell, window_end_ms=cell + GRID, offset=offset, parts=[part], readings=readings
    )


def test_a_sound_pipeline_closes(sound):
    books = sound.close()
    total = len(GATEWAYS) * (CELLS - 1) * PER_PACK
    assert books.violations == ()
    assert (books.sent, books.received, books.judged) == (total, total, total)
    assert (books.lost, books.late, books.dead, books.duplicates, books.in_outboxes) == (0, 0, 0, 0, 0)
    assert (books.alert_events, books.alert_duplicates, books.ids_equal, books.heartbeats) == (3, 0, True, 1)


def test_an_empty_pipeline_closes():
    books = Pipeline(kafka=[], influx=[], webhook=[]).close()
    assert books.violations == ()
    assert (books.sent, books.received, books.lost, books.ids_equal) == (0, 0, 0, True)


def test_a_dropped_pack_is_lost_and_was_acknowledged(sound):
    without(sound, "gw-b", 3)
    books = sound.judge().close()
    assert names(books) == {"lost", "acknowledged-but-lost"}
    assert books.lost == PER_PACK
    assert "gw-b (boot boot-gw-b) seq 3" in books.violations[0].detail


def test_one_dropped_part_of_a_pack_is_lost(sound):
    sound.log.pop(0)
    books = sound.judge().close()
    assert names(books) == {"lost", "acknowledged-but-lost"}
    assert books.lost == 2


def test_a_pack_in_its_outbox_is_not_lost(sound):
    without(sound, "gw-b", 5)
    sound.waiting, sound.acked["gw-b"] = {("gw-b", 5)}, 4
    books = sound.judge().close()
    assert books.violations == ()
    assert (books.lost, books.in_outboxes) == (0, PER_PACK)


def test_a_pack_in_its_outbox_that_is_in_kafka_is_received(sound):
    sound.waiting, sound.acked["gw-b"] = {("gw-b", 5)}, 4
    books = sound.close()
    assert books.violations == ()
    assert books.in_outboxes == 0


def test_an_acknowledged_loss_is_caught_though_the_outbox_kept_the_pack(sound):
    without(sound, "gw-b", 5)
    sound.waiting = {("gw-b", 5)}
    books = sound.judge().close()
    assert names(books) == {"acknowledged-but-lost"}


def test_copies_are_counted_and_are_no_fault(sound):
    sound.log += [row for row in sound.log if row[2].seq == 2]
    books = sound.judge().close()
    assert books.violations == ()
    assert books.duplicates == len(GATEWAYS) * PER_PACK
    assert books.received == books.judged


def test_a_copy_that_the_job_judged_too_is_caught(sound):
    sound.log += [row for row in sound.log if row[2].seq == 2 and row[2].gateway == "gw-a"]
    books = sound.close()
    assert names(books) == {"duplicates-differ"}
    counted = sound.summaries[0]
    sound.summaries[0] = msgspec.structs.replace(
        counted, readings=counted.readings + 2, judged=[msgspec.structs.replace(counted.judged[0], readings=4)]
    )
    assert "judged-count-differs" in names(sound.close())


def test_a_window_judged_twice_is_caught(sound):
    sound.summaries.append(sound.summaries[0])
    assert names(sound.close()) == {"judged-twice"}


def test_a_window_that_was_not_judged_is_caught(sound):
    dropped = sound.summaries.pop()
    books = sound.close()
    assert names(books) == {"not-judged"}
    assert books.not_judged == dropped.readings


def test_a_judged_pack_that_the_topic_does_not_hold_is_caught(sound):
    without(sound, "gw-a", 4)
    books = sound.close()
    assert {"judged-not-received", "judged-count-differs"} <= names(books)


def test_an_invented_reading_is_caught(sound):
    stranger = pack("gw-a", CELLS)
    sound.log += [(shard_of("gw-a", SHARDS), cell, part) for cell, part in cut("gw-a", stranger).items()]
    books = sound.judge().close()
    assert names(books) == {"invented"}


def test_an_index_beyond_the_pack_is_invented(sound):
    partition, cell, part = sound.log[0]
    sound.log[0] = partition, cell, msgspec.structs.replace(part, index=np.array([0, 9], "<u4").tobytes())
    assert "invented" in names(sound.judge().close())


@pytest.mark.parametrize("column", ["values", "offsets", "series", "quality"])
def test_altered_content_is_caught(sound, column):
    partition, cell, part = sound.log[0]
    altered = {
        "values": np.array([1.0, 2.0], "<f8").tobytes(),
        "offsets": np.array([701, 850], "<u4").tobytes(),
        "series": np.array([1, 1], "<u4").tobytes(),
        "quality": b"\1\0",
    }[column]
    sound.log[0] = partition, cell, msgspec.structs.replace(part, **{column: altered})
    assert names(sound.judge().close()) == {"content-differs"}


def test_two_copies_that_differ_are_caught(sound):
    partition, cell, part = sound.log[0]
    sound.log.append((partition, cell, msgspec.structs.replace(part, values=np.array([1.0, 2.0], "<f8").tobytes())))
    assert names(sound.judge().close()) == {"copies-differ"}


def test_swapped_order_is_caught(sound):
    mine = [at for at, row in enumerate(sound.log) if row[2].gateway == "gw-c"]
    first, second = mine[0], mine[2]
    sound.log[first], sound.log[second] = sound.log[second], sound.log[first]
    assert names(sound.close()) == {"out-of-order"}


def test_a_late_copy_of_an_early_pack_is_not_out_of_order(sound):
    sound.log.append(sound.log[0])
    assert sound.judge().close().violations == ()


def test_a_foreign_partition_is_caught(sound):
    partition, cell, part = sound.log[0]
    sound.log[0] = (partition + 1) % SHARDS, cell, part
    assert names(sound.judge().close()) == {"wrong-partition"}


def test_late_readings_close_the_books(sound):
    shard, cell, part = sound.log[4]
    sound.late = [late_record(shard, cell, part, 4)]
    books = sound.judge().close()
    assert books.violations == ()
    assert books.late == len(part.values) // 8
    assert books.received == books.judged + books.late


def test_a_copy_that_comes_after_its_window_is_a_duplicate_and_not_late(sound):
    shard, cell, part = sound.log[4]
    sound.log.append(sound.log[4])
    sound.late = [late_record(shard, cell, part, 99)]
    books = sound.close()
    assert books.violations == ()
    assert (books.late, books.duplicates) == (0, len(part.values) // 8)


def test_late_readings_from_nowhere_are_caught(sound):
    shard, cell, part = sound.log[0]
    foreign = msgspec.structs.replace(part, seq=77)
    sound.late = [late_record(shard, cell, foreign, 4)]
    assert names(sound.close()) == {"late-not-received"}


def test_single_dead_readings_close_the_books(sound):
    bad = pack("gw-a", CELLS, bad=(1, 3))
    sound.sent.append(("gw-a", bad))
    sound.log += [(shard_of("gw-a", SHARDS), cell, part) for cell, part in cut("gw-a", bad, bad=(1, 3)).items()]
    sound.dead = [letter("gw-a", bad, (1, 3), 2)] * 2
    sound.acked["gw-a"] = CELLS
    books = sound.judge().close()
    assert books.violations == ()
    assert (books.dead, books.lost) == (2, 0)


def test_a_dead_pack_closes_the_books(sound):
    whole = pack("gw-a", CELLS)
    sound.sent.append(("gw-a", whole))
    sound.dead = [letter("gw-a", whole, readings=0)]
    sound.acked["gw-a"] = CELLS
    books = sound.close()
    assert books.violations == ()
    assert books.dead == PER_PACK


def test_a_dead_letter_of_what_nobody_sent_is_caught(sound):
    sound.dead = [letter("gw-a", pack("gw-a", 50), (1,))]
    assert names(sound.close()) == {"dead-not-sent"}


def test_letters_without_identity_are_counted(sound):
    sound.dead = [letter("", pack("gw-a", 50))]
    books = sound.close()
    assert books.violations == ()
    assert (books.dead, books.dead_unidentified) == (0, 1)


def test_a_gap_in_the_ledger_is_caught(sound):
    sound.sent = [row for row in sound.sent if (row[0], row[1].seq) != ("gw-a", 2)]
    assert names(sound.close()) == {"ledger-gap", "invented"}


def test_an_undecodable_record_is_caught_unless_the_job_dead_lettered_it(sound):
    entries = Entries()
    entries.record(b"\xc1", 2, 17)
    assert {one.name for one in close_books(entries, SHARDS, GRID).violations} == {"undecodable"}
    entries.dead.add(letter("", pack("gw-a", 1), service="job", source="tidemark.readings.v1/2/17"))
    assert close_books(entries, SHARDS, GRID).violations == ()


def test_columns_of_unequal_length_are_undecodable(sound):
    partition, cell, part = sound.log[0]
    sound.log[0] = partition, cell, msgspec.structs.replace(part, series=b"")
    assert "undecodable" in names(sound.close())


def test_a_repeated_event_id_is_caught(sound):
    sound.kafka = ["e1", "e2", "e3", "e2"]
    books = sound.close()
    assert names(books) == {"alert-duplicates"}
    assert books.alert_duplicates == 1


@pytest.mark.parametrize("side", ["influx", "webhook"])
def test_a_missing_event_id_is_caught(sound, side):
    sound = replace(sound, **{side: ["e1", "e2"]})
    books = sound.close()
    assert names(books) == {"ids-differ"}
    assert books.ids_equal is False
    assert "lacks 1" in books.violations[0].detail


def test_what_is_on_its_way_is_no_fault_before_the_drain(sound):
    dropped = sound.summaries.pop()
    entries = Entries()
    for offset, (partition, cell, part) in enumerate(sound.log):
        entries.record(encode_record(Readings(cell_ms=cell, parts=[part])), partition, offset)
    for one in sound.summaries:
        entries.summaries.add(one)
    books = close_books(entries, SHARDS, GRID, drained=False)
    assert books.violations == ()
    assert books.not_judged == dropped.readings
    assert (books.sent, books.lost, books.ids_equal) == (None, None, None)


def test_failures_leave_out_what_a_test_provokes(sound):
    sound.kafka = ["e1", "e2", "e3", "e2"]
    assert sound.close().failures(allow=("alert-duplicates",)) == []
