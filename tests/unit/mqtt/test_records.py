"""What a Kafka record looks like: cells, tables, keys, stamps."""

import numpy as np
import pytest

from connectors.mqtt.embedding import Embedding
from connectors.wire.partition import shard_of
from connectors.wire.series import Series, series_table
from connectors.wire.topics import GATEWAY_STATUS
from tests.support.bridge import NOW_MS, PACKS, TABLE, Bench, pack

GRID_MS = 10_000


def test_the_first_record_of_a_cell_carries_the_table_and_the_next_does_not():
    bench = Bench(linger_ms=0)
    settle_heartbeats(bench)
    for seq in (1, 2):
        bench.take_pack(pack(seq=seq, base_ms=bench.now_ms))
    bench.take_pack(pack(seq=3, base_ms=bench.now_ms + GRID_MS))
    assert [len(record.tables) for record in bench.records()] == [1, 0, 1]


def test_two_tables_of_one_gateway_are_carried_each():
    other = series_table((Series("e", "t", "Cel"),))
    bench = Bench(tables=(TABLE, other), linger_ms=0)
    settle_heartbeats(bench)
    for seq, table in ((1, TABLE), (2, other), (3, TABLE)):
        bench.take_pack(pack(seq=seq, table=table.id, base_ms=bench.now_ms))
    assert [[t.id for t in record.tables] for record in bench.records()] == [[TABLE.id], [other.id], []]


def test_a_record_that_may_be_late_carries_its_table_always():
    bench = Bench(linger_ms=0)
    settle_heartbeats(bench)
    for seq in (1, 2):
        bench.take_pack(pack(seq=seq, base_ms=bench.now_ms - 60_000))
    assert [len(record.tables) for record in bench.records()] == [1, 1]


def test_a_record_behind_an_open_one_that_may_make_it_late_carries_its_table():
    """What is open goes to Kafka first, with a newer stamp: the watermark may pass the cell in between."""
    bench = Bench(shards=1)
    settle_heartbeats(bench)
    old = bench.now_ms // GRID_MS * GRID_MS
    bench.take_pack(pack(seq=1, base_ms=old))
    bench.pass_time(20)
    bench.take_pack(pack(seq=1, base_ms=old + 2 * GRID_MS), PACKS.replace("gw", "fast"))
    bench.take_pack(pack(seq=2, base_ms=old))
    bench.pass_time(20)
    assert [[part.gateway for part in record.parts] for record in bench.records()] == [["gw"], ["fast"], ["gw"]]
    assert [len(record.tables) for record in bench.records()] == [1, 1, 1]


@pytest.mark.parametrize(("newest", "again"), [(None, True), (19_998, False), (19_999, True), (10_000, False)])
def test_may_be_late_is_exactly_what_the_job_calls_late(newest, again):
    embedding = Embedding(GRID_MS, 10_000)
    assert embedding.needed("gw", "t", 0, newest)
    assert embedding.needed("gw", "t", 0, newest) is again


def test_small_packs_of_one_partition_and_cell_share_a_record():
    bench = Bench(shards=1)
    for seq in range(1, 6):
        bench.take_pack(pack(seq=seq, readings=1))
    bench.pass_time(19)
    assert not bench.sends
    bench.pass_time(1)
    (record,) = bench.records()
    assert [part.seq for part in record.parts] == [1, 2, 3, 4, 5]
    assert bench.sends[0].key == b"gw"


def test_a_record_is_closed_at_its_size():
    bench = Bench(linger_ms=10_000, record_bytes=4_096)
    for seq in range(1, 11):
        bench.take_pack(pack(seq=seq, readings=100))
    assert len(bench.records()) > 2
    assert all(len(send.value) < 8_192 for send in bench.sends)


def test_the_stamp_is_the_earliest_event_time_and_the_partition_the_gateways():
    bench = Bench(shards=7)
    bench.take_pack(pack(offsets_ms=[500, 20, 3_000]), PACKS.replace("gw", "gw-9"))
    bench.pass_time()
    (send,) = bench.sends
    assert (send.timestamp_ms, send.partition) == (NOW_MS + 20, shard_of("gw-9", 7))
    (part,) = bench.records()[0].parts
    assert (part.site, part.gateway, part.received_ms, part.table) == ("s", "gw-9", NOW_MS, TABLE.id)
    assert np.frombuffer(part.offsets, "<u4").tolist() == [500, 20, 3_000]


def test_json_and_messagepack_make_the_same_record():
    from connectors.wire.versions import to_json, to_msgpack

    values = []
    for encode in (to_json, to_msgpack):
        bench = Bench()
        bench.take(encode(pack(quality=[0, 1, 2])))
        bench.pass_time()
        values.append(bench.sends[0].value)
    assert values[0] == values[1]


def test_a_gateways_status_is_kept():
    bench = Bench()
    mid = bench.take(b'{"v":1,"state":"online","boot":"b","since_ms":1}', "tidemark/v1/s/gw/status")
    (send,) = bench.sends
    assert (send.topic, send.key) == (GATEWAY_STATUS, b"s/gw")
    bench.deliver()
    assert bench.pubacks == [mid]


@pytest.mark.parametrize("topic", ["tidemark/v1/s/gw/status", f"tidemark/v1/s/gw/series/{TABLE.id}"])
def test_an_empty_payload_clears_what_was_retained_and_nothing_else(topic):
    bench = Bench()
    mid = bench.take(b"", topic)
    bench.pass_time()
    assert not bench.sends and bench.pubacks == [mid]


def settle_heartbeats(bench):
    """Bring the partitions' stamps up to the clock, so that fresh readings can't be late."""
    bench.pass_time(10)
    bench.echo()
    bench.pass_time(GRID_MS)
    bench.echo()
    bench.pass_time(10)
    bench.sends.clear()
