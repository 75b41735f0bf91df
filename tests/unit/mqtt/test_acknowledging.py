"""Who is told what, and when: the broker in order, the gateway without gaps, and nobody before Kafka has it."""

import pytest

from connectors.mqtt.acks import MAX_BEYOND, AckLedger
from connectors.mqtt.heartbeat import Past
from connectors.mqtt.messages import Publish
from connectors.wire.topics import DEAD_LETTERS, READINGS, SERIES_TABLES
from connectors.wire.versions import to_json, to_msgpack
from tests.support.bridge import NOW_MS, PACKS, TABLE, Bench, pack

BOOT = ("s", "gw", "b")
SERIES = f"tidemark/v1/s/gw/series/{TABLE.id}"


def test_nothing_is_acknowledged_before_kafka_has_it():
    bench = Bench()
    mid = bench.take_pack(pack())
    bench.pass_time(5_000)
    assert not bench.pubacks and not bench.acks()
    bench.deliver()
    bench.pass_time(1_000)
    assert bench.pubacks == [mid]
    assert [ack.seq for ack in bench.acks()] == [1]


def test_the_broker_is_answered_in_order_whatever_kafkas_order():
    bench = Bench(linger_ms=0)
    mids = [bench.take_pack(pack(seq=seq)) for seq in (1, 2, 3)]
    first, *others = bench.sends
    for send in reversed(others):
        bench.core.delivered(send)
    bench.pass_time()
    assert not bench.pubacks
    bench.core.delivered(first)
    bench.pass_time()
    assert bench.pubacks == mids


def test_a_pack_across_cells_is_done_when_its_last_part_is():
    bench = Bench(linger_ms=0)
    bench.take_pack(pack(offsets_ms=[0, 10_000, 20_000]))
    assert len(bench.sends) == 3
    for send in bench.sends[:2]:
        bench.core.delivered(send)
    bench.pass_time()
    assert not bench.pubacks
    bench.core.delivered(bench.sends[2])
    bench.pass_time()
    assert bench.pubacks == [1]


def test_pending_acknowledgements_are_dropped_with_their_connection():
    bench = Bench()
    bench.take_pack(pack(seq=1))
    bench.pass_time()
    bench.core.disconnected(bench.now_ms)
    bench.connect()
    other = bench.take_pack(pack(seq=2))
    bench.pass_time()
    bench.deliver()
    assert bench.pubacks == [other]


def test_a_redelivery_of_what_is_on_its_way_is_written_once_and_answered():
    bench = Bench()
    bench.take_pack(pack())
    bench.pass_time()
    bench.core.disconnected(bench.now_ms)
    bench.connect()
    again = bench.take_pack(pack(), oldest=1)
    bench.pass_time()
    assert len(bench.records()) == 1
    bench.deliver()
    assert bench.pubacks == [again]
    assert bench.core.tally.redelivered == 1


def test_a_redelivery_with_other_content_is_written_too():
    bench = Bench()
    bench.take_pack(pack())
    bench.pass_time()
    bench.connect()
    bench.take_pack(pack(values=[9.0, 9.0, 9.0]))
    bench.pass_time()
    assert len(bench.records()) == 2


def test_copies_on_one_connection_are_written_each():
    bench = Bench()
    bench.take_pack(pack())
    bench.take_pack(pack())
    bench.pass_time()
    assert len(bench.records()[0].parts) == 2


def test_qos_0_is_never_answered():
    bench = Bench()
    bench.take(to_msgpack(pack()), mid=0, qos=0)
    bench.pass_time()
    bench.deliver()
    assert not bench.pubacks and bench.core.inflight == 0


def test_an_unknown_table_holds_its_pack_and_the_answers_behind_it():
    bench = Bench(tables=())
    other = pack(seq=1, boot="c", table="0" * 16)
    held = bench.take_pack(other)
    table = bench.take(to_json(TABLE), SERIES)
    passing = bench.take_pack(pack())
    bench.pass_time()
    assert [part.boot for record in bench.records() for part in record.parts] == ["b"]
    bench.deliver()
    assert not bench.pubacks
    bench.pass_time(4_000)
    assert not bench.letters()
    bench.pass_time(1_000)
    (letter,) = bench.letters()
    assert (letter.reason, letter.boot, letter.readings) == ("unknown-table", "c", 3)
    bench.deliver()
    assert bench.pubacks == [held, table, passing]


def test_a_table_that_comes_in_time_releases_its_packs_in_order():
    bench = Bench(tables=())
    mids = [bench.take_pack(pack(seq=seq)) for seq in (1, 2)]
    bench.pass_time(4_900)
    mids.append(bench.take(to_json(TABLE), SERIES))
    bench.pass_time()
    assert [part.seq for record in bench.records() for part in record.parts] == [1, 2]
    assert bench.core.held == 0
    bench.deliver(READINGS)
    assert bench.pubacks == mids[:2]
    bench.deliver(SERIES_TABLES)
    assert bench.pubacks == mids
    bench.take(to_json(TABLE), SERIES)
    assert not bench.sends, "a table that is known is not written again"


def test_an_acknowledgement_comes_after_16_packs_or_a_second():
    bench = Bench()
    for seq in range(1, 17):
        bench.take_pack(pack(seq=seq))
    bench.pass_time()
    bench.deliver()
    assert [ack.seq for ack in bench.acks()] == [16]
    bench.take_pack(pack(seq=17))
    bench.pass_time()
    bench.deliver()
    bench.pass_time(500)
    assert len(bench.acks()) == 1
    bench.pass_time(500)
    assert [ack.seq for ack in bench.acks()] == [16, 17]
    (publish, *_) = [p for p in bench.published if p.topic.endswith("/ack")]
    assert publish == Publish("tidemark/v1/s/gw/ack", to_json(bench.acks()[0]), retain=True)


def test_a_stop_closes_records_and_acknowledges_at_once():
    bench = Bench(linger_ms=10_000)
    bench.take_pack(pack())
    bench.core.flush(bench.wall_ms)
    bench._collect()
    (send,) = bench.sends
    bench.core.delivered(send)
    bench.core.flush(bench.wall_ms)
    bench._collect()
    assert bench.pubacks == [1]
    assert [ack.seq for ack in bench.acks()] == [1]


def test_a_record_that_kafka_refuses_becomes_letters_for_its_own_readings():
    bench = Bench(linger_ms=0)
    bench.take_pack(pack(offsets_ms=[0, 10_000, 1]))
    refused, accepted = bench.sends
    bench.sends = []
    bench.core.refused(refused, "too large")
    bench._collect()
    bench.core.delivered(accepted)
    (letter,) = bench.letters()
    assert (letter.reason, letter.indexes, letter.seq) == ("rejected", [0, 2], 1)
    bench.pass_time()
    assert not bench.pubacks
    bench.deliver(DEAD_LETTERS)
    assert bench.pubacks == [1]


def test_the_record_after_a_refused_one_carries_the_table():
    bench = Bench(linger_ms=0, past=Past(newest={0: NOW_MS, 1: NOW_MS}))
    bench.take_pack(pack(seq=1))
    (refused,) = bench.sends
    assert bench.records()[0].tables
    bench.sends = []
    bench.core.refused(refused, "too large")
    bench.take_pack(pack(seq=2))
    assert bench.records()[0].tables


def ledger():
    return AckLedger(1, 1_000)


@pytest.mark.parametrize(("oldest", "start"), [(3, 3), (None, 5), (9, 5), (0, 5), (-4, 5)])
def test_an_unknown_boot_starts_at_its_oldest_pack(oldest, start):
    acks = ledger()
    acks.seen(BOOT, 5, oldest)
    acks.done(BOOT, start, 0)
    assert [due.seq for due in acks.due(0)] == [start]


def test_a_gap_is_never_acknowledged_over():
    acks = ledger()
    for seq in (1, 2, 4, 5):
        acks.seen(BOOT, seq, 1)
        acks.done(BOOT, seq, 0)
    assert [due.seq for due in acks.due(0)] == [2]
    acks.done(BOOT, 3, 0)
    assert [due.seq for due in acks.due(0)] == [5]


def test_a_gap_that_the_gateway_says_is_acknowledged_is_closed():
    acks = ledger()
    acks.seen(BOOT, 1, 1)
    acks.done(BOOT, 4, 0)
    acks.seen(BOOT, 6, 4)
    acks.done(BOOT, 6, 0)
    assert [due.seq for due in acks.due(0)] == []
    acks.done(BOOT, 5, 0)
    assert [due.seq for due in acks.due(0)] == [6]


def test_a_copy_of_an_acknowledged_pack_is_acknowledged_again():
    acks = ledger()
    acks.seen(BOOT, 1, 1)
    acks.done(BOOT, 1, 0)
    acks.due(0)
    acks.done(BOOT, 1, 0)
    assert [due.seq for due in acks.due(0)] == [1]


def test_boots_are_kept_apart():
    acks = ledger()
    for boot in (BOOT, ("s", "gw", "c"), ("t", "gw", "b")):
        acks.seen(boot, 1, 1)
    acks.done(BOOT, 1, 0)
    assert [(due.site, due.boot) for due in acks.due(0)] == [("s", "b")]


def test_invented_sequence_numbers_do_not_fill_the_memory():
    acks = ledger()
    acks.seen(BOOT, 1, 1)
    for seq in range(10, 10 + 2 * MAX_BEYOND):
        acks.done(BOOT, seq, 0)
    assert len(acks._runs[BOOT].beyond) == MAX_BEYOND
    acks.done(BOOT, 1, 0)
    assert [due.seq for due in acks.due(0)] == [1]


def test_two_gateways_share_a_record_and_each_has_its_own_answer():
    bench = Bench(shards=1)
    bench.take_pack(pack(seq=1))
    bench.take_pack(pack(seq=7), PACKS.replace("gw", "hw"))
    bench.pass_time()
    (send,) = bench.sends
    assert send.key is None and send.partition == 0 and send.timestamp_ms == NOW_MS
    assert len(bench.records()[0].tables) == 1
    bench.deliver()
    bench.pass_time(1_000)
    assert sorted(ack.seq for ack in bench.acks()) == [1, 7]
