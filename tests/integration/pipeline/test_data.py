"""Data of every kind through the whole pipeline: packings, copies, disorder, late, impossible times, corrupt payloads.

All of it is published at once and judged in one go; each test looks at the gateways of its own.
"""

import math
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest

from connectors.wire.pack import Pack
from connectors.wire.record import Readings, decode_record
from connectors.wire.versions import WireError, from_either, to_msgpack
from tests.support.corrupt import by_hand, mutated
from tests.support.fleet import names_on_all_shards
from tests.support.flink import late_records_dropped, restarts
from tests.support.gateway import RawGateway, raw_gateway
from tests.support.offline import transitions
from tests.support.pipeline import DISORDER_MS, SHARDS, WINDOW_MS, Pipeline, Sent
from tests.support.traffic import DataSet, pack_of, packed, shuffled_with_repeats

pytestmark = pytest.mark.integration

WINDOWS = 4
LEAD_MS = 2_500
"""All readings lie ahead of the clock when they are published, by less than the disorder bound: then no order of
arrival makes any of them late, and only those are late that shall be."""
SILENT = 3
"""No gateway here has this shard."""
YEAR_MS = 31_557_600_000
BAD = 3
"""Place of the bad reading in its pack."""


@dataclass
class Published:
    """What was published, by gateway."""

    start_ms: int
    sent: dict[str, Sent] = field(default_factory=dict)
    dead: dict[str, dict[int, str]] = field(default_factory=dict)
    payloads: dict[str, list[bytes]] = field(default_factory=dict)

    @property
    def end_ms(self) -> int:
        return self.start_ms + WINDOWS * WINDOW_MS

    def data(self, seed: str, per_window: int = 10) -> DataSet:
        return DataSet(seed, self.start_ms, WINDOWS, per_window)


_NAMES = iter(names_on_all_shards("data", SHARDS, 12)[: 12 * SILENT])
NAME = {
    kind: next(_NAMES)
    for kind in (
        *("packs-of-1", "packs-of-7", "packs-of-100", "across-cells", "shuffled"),
        *("repeated", "disordered", "late", "future", "times", "corrupt", "mutated", "schemas"),
    )
}
PACKINGS = ("packs-of-1", "packs-of-7", "packs-of-100", "across-cells", "shuffled")


def _publish_packings(client: RawGateway, published: Published) -> None:
    data = published.data("packings", per_window=25)
    readings = data.readings()
    mixed = readings.copy()
    random.Random("mixed").shuffle(mixed)
    packings = {
        "packs-of-1": packed(readings, 1, "b1", data.table),
        "packs-of-7": packed(readings, 7, "b1", data.table),
        "packs-of-100": packed(readings, 100, "b1", data.table),
        "across-cells": packed(readings, 150, "b1", data.table),
        "shuffled": packed(mixed, 13, "b1", data.table),
    }
    for kind, packs in packings.items():
        _publish(
            client, published, kind, data, packs, shuffled_with_repeats(packs, kind) if kind == "shuffled" else packs
        )


def _publish(
    client: RawGateway,
    published: Published,
    kind: str,
    data: DataSet,
    packs: list[Pack],
    order: list[Pack] | None = None,
) -> None:
    client.publish_table(NAME[kind], data.table)
    client.publish_packs(NAME[kind], packs if order is None else order)
    published.sent[NAME[kind]] = Sent(packs, [data.table])


def _publish_copies_and_disorder(client: RawGateway, published: Published) -> None:
    draw = random.Random("copies")
    for kind in ("repeated", "disordered"):
        data = published.data(kind)
        packs = packed(data.readings(), 9, "b1", data.table)
        order = [pack for pack in packs for _ in range(draw.randint(1, 3))] if kind == "repeated" else packs.copy()
        if kind == "disordered":
            draw.shuffle(order)
        _publish(client, published, kind, data, packs, order)


def _publish_late(client: RawGateway, published: Published) -> None:
    """On time first, then readings of twice the disorder bound ago, at least."""
    data = published.data("late")
    on_time = packed(data.readings(), 20, "b1", data.table)
    old = DataSet("old", published.start_ms - LEAD_MS // WINDOW_MS * WINDOW_MS - 2 * DISORDER_MS - 5_000, 2)
    late = [
        pack_of(old.readings()[at : at + 20], "b1", len(on_time) + 1 + at // 20, old.table)
        for at in range(0, len(old.readings()), 20)
    ]
    _publish(client, published, "late", data, on_time + late)
    published.sent[NAME["late"]].late_below_ms = published.start_ms


def _publish_bad_times(client: RawGateway, published: Published) -> None:
    """Each impossible time in the middle of a good pack; JSON has no NaN, so MessagePack."""
    data = published.data("times")
    day_ms = 86_400_000
    wrong: dict[str, list[tuple[float | int | None, str]]] = {
        "future": [
            (published.start_ms + 7_200_000, "future-time"),
            (published.start_ms + 10 * YEAR_MS, "future-time"),
            (published.start_ms + 310_000, "future-time"),
            (2**53, "future-time"),
        ],
        "times": [
            (0, "bad-time"),
            (-1, "bad-time"),
            (-(2**53), "bad-time"),
            (946_684_800_000 - 1, "bad-time"),
            (published.start_ms // 1_000, "bad-time"),  # seconds
            (published.start_ms * 1_000, "future-time"),  # microseconds
            (published.start_ms * 1_000_000, "future-time"),  # nanoseconds
            (20 * day_ms, "bad-time"),
            (math.nan, "bad-time"),
            (math.inf, "bad-time"),
            (-math.inf, "bad-time"),
            (1e300, "future-time"),
            (None, "bad-time"),
        ],
    }
    for kind, times in wrong.items():
        client.publish_table(NAME[kind], data.table)
        good = packed(data.readings(), 20, "b1", data.table)
        packs, dead = good.copy(), {}
        for number, (time_ms, reason) in enumerate(times):
            seq = len(packs) + 1
            packs.append(_with_time(good[number % len(good)], seq, time_ms))
            dead[seq] = reason
        for pack in packs:
            client.publish(NAME[kind], "packs", to_msgpack(pack), oldest_seq=1)
        bad = {seq: frozenset({BAD}) for seq in dead}
        published.sent[NAME[kind]] = Sent(packs, [data.table], bad=bad)
        published.dead[NAME[kind]] = dead


def _with_time(pack: Pack, seq: int, time_ms: float | None) -> Pack:
    """Return a copy of a pack under a number of its own, with times from 0 and one of them wrong."""
    offsets: list[float | int | None] = [pack.base_ms + offset for offset in pack.offsets_ms if offset is not None]
    offsets[BAD] = time_ms
    return msgspec.structs.replace(pack, seq=seq, base_ms=0, offsets_ms=offsets)


def _publish_corrupt(client: RawGateway, published: Published) -> None:
    data = published.data("corrupt")
    good = packed(data.readings(), 20, "b1", data.table)
    for kind in ("corrupt", "mutated", "schemas"):
        _publish(client, published, kind, data, good)
    published.payloads["corrupt"] = list(by_hand(msgspec.structs.replace(good[0], boot="bad")).values())
    packs = [msgspec.structs.replace(pack, boot="b2") for pack in good]
    published.payloads["mutated"] = [
        one for one in mutated(packs, 400, "bits") if _moves_no_watermark(one, published.end_ms)
    ]
    for kind in ("corrupt", "mutated"):
        for payload in published.payloads[kind]:
            client.publish(NAME[kind], "packs", payload)


def _moves_no_watermark(payload: bytes, end_ms: int) -> bool:
    """Whether no reading is between the data's end and the future limit: it would rightly make others late."""
    try:
        pack = from_either(Pack, payload)
        times = [pack.base_ms + offset for offset in pack.offsets_ms if offset is not None]
    except (WireError, OverflowError):
        return True
    return not any(end_ms < time_ms < end_ms + 400_000 for time_ms in times)


def _publish_schemas(client: RawGateway, published: Published) -> None:
    """A gateway whose software changes while it sends: new fields, changed types, another version, a longer table."""
    name, data = NAME["schemas"], published.data("corrupt")
    sent = published.sent[name]
    plain = msgspec.to_builtins(sent.packs[0])
    changes: list[dict[str, object]] = [
        plain | {"v": 2, "firmware": "9.1"},
        plain | {"firmware": "9.1"},
        plain | {"values": [str(value) for value in plain["values"]]},
        plain | {"series": [float(value) + 0.5 for value in plain["series"]]},
        plain | {"base_ms": "2026-01-01T00:00:00Z"},
        {key: value for key, value in plain.items() if key != "table"},
    ]
    first = len(sent.packs) + 1
    wrong = [change | {"seq": seq} for seq, change in enumerate(changes, start=first)]
    published.payloads["schemas"] = [msgspec.json.encode(one) for one in wrong]
    for payload in published.payloads["schemas"]:
        client.publish(name, "packs", payload, oldest_seq=1)
    # Optional columns, and numbers as floats, are of today's version; a longer table is a new table.
    wider = DataSet("wider", data.start_ms, WINDOWS, devices=3)
    readings = [one for one in wider.readings() if one.series >= len(data.table.series)]
    packs = [
        msgspec.structs.replace(
            pack, seq=first + len(wrong) + number, base_ms=float(pack.base_ms), quality=[0] * len(pack.values)
        )
        for number, pack in enumerate(packed(readings, 20, "b1", wider.table))
    ]
    client.publish_table(name, wider.table)
    client.publish_packs(name, packs)
    refused = {("b1", one["seq"]): len(sent.packs[0].values) for one in wrong}
    published.sent[name] = Sent([*sent.packs, *packs], [data.table, wider.table], refused=refused)


@pytest.fixture(scope="module")
def published(pipeline: Pipeline) -> Iterator[Published]:
    pipeline.stack.wait_healthy("bridge")
    with raw_gateway(pipeline.settings.mqtt, "tests-data") as client:
        result = Published(pipeline.next_start_ms(LEAD_MS))
        for publish in (
            _publish_packings,
            _publish_copies_and_disorder,
            _publish_late,
            _publish_bad_times,
            _publish_corrupt,
            _publish_schemas,
        ):
            publish(client, result)
        client.settle()
        assert time.time() * 1000 < result.start_ms + 1_500, "publishing took so long that the order of arrival matters"
        pipeline.wait_judged(result.end_ms)
        for gateway, sent in result.sent.items():
            sent.acked = {"b1": client.acked(gateway, "b1")}
        pipeline.poll()
        yield result


def _check_books(
    pipeline: Pipeline, published: Published, kind: str, allow: tuple[str, ...] = (), late: int = 0
) -> None:
    sent = published.sent[NAME[kind]]
    books = pipeline.books({NAME[kind]: sent})
    assert not [one for one in books.violations if one.name not in allow]
    assert books.lost == 0
    assert books.late == late
    assert books.judged + books.late == books.received
    assert books.sent == books.received + books.dead
    assert sent.acked["b1"] == max(pack.seq for pack in sent.packs), "the bridge did not acknowledge all"


def _check_alerts(pipeline: Pipeline, published: Published, kind: str) -> None:
    assert pipeline.check_alerts(NAME[kind], published.sent[NAME[kind]]) > 0


@pytest.mark.parametrize("kind", PACKINGS)
def test_each_packing_is_whole_and_gives_the_expected_alerts(
    pipeline: Pipeline, published: Published, kind: str
) -> None:
    """One data set in packs of 1, 7, 100, across cells, and shuffled with repeats."""
    _check_books(pipeline, published, kind, allow=("out-of-order",) if kind == "shuffled" else ())
    _check_alerts(pipeline, published, kind)


def test_packing_does_not_matter(pipeline: Pipeline, published: Published) -> None:
    """Equal alerts but for the gateway's name, and bit-equal summaries."""
    first, *others = PACKINGS
    alerts = transitions(pipeline.alerts_of(NAME[first]))
    rows = pipeline.rows_of(NAME[first])
    assert len(alerts) > 5
    assert len(rows) == WINDOWS
    for kind in others:
        assert transitions(pipeline.alerts_of(NAME[kind])) == alerts, kind
        assert pipeline.rows_of(NAME[kind]) == rows, kind
    assert rows == pipeline.expected(NAME[first], published.sent[NAME[first]]).rows


def test_t30_copies_have_one_effect(pipeline: Pipeline, published: Published) -> None:
    books = pipeline.books({NAME["repeated"]: published.sent[NAME["repeated"]]})
    assert books.duplicates > 0
    _check_books(pipeline, published, "repeated")
    _check_alerts(pipeline, published, "repeated")


def test_t31_disorder_within_the_bound_changes_nothing(pipeline: Pipeline, published: Published) -> None:
    _check_books(pipeline, published, "disordered", allow=("out-of-order",))
    _check_alerts(pipeline, published, "disordered")


def test_t32_late_readings_are_kept_apart_and_none_is_dropped(pipeline: Pipeline, published: Published) -> None:
    sent = published.sent[NAME["late"]]
    late = sum(len(pack.values) for pack in sent.packs) - sum(len(pack.values) for pack in sent.on_time())
    assert late > 0
    _check_books(pipeline, published, "late", late=late)
    _check_alerts(pipeline, published, "late")
    assert late_records_dropped(pipeline.settings.flink.rest) == 0


@pytest.mark.parametrize("kind", ["future", "times"])
def test_t33_t34_impossible_times_are_dead_alone(pipeline: Pipeline, published: Published, kind: str) -> None:
    """T33 (future) and T34 (0, negative, seconds, micro- and nanoseconds, NaN, infinite, missing)."""
    letters = pipeline.dead_of(NAME[kind])
    assert {letter.seq: letter.reason for letter in letters} == published.dead[NAME[kind]]
    assert all(letter.indexes == [BAD] and letter.readings == 1 for letter in letters)
    sent = {pack.seq: to_msgpack(pack) for pack in published.sent[NAME[kind]].packs}
    assert all(letter.payload == sent[letter.seq] for letter in letters)
    _check_books(pipeline, published, kind)
    _check_alerts(pipeline, published, kind)


def test_t35_a_silent_shard_does_not_hold_the_others_up(pipeline: Pipeline, published: Published) -> None:
    """Windows fire in time on every shard, on the silent one too, by heartbeats."""
    seen: dict[int, dict[int, int]] = {shard: {} for shard in range(SHARDS)}
    for record, summary in pipeline.summaries.pairs():
        if published.start_ms <= summary.start_ms < published.end_ms:
            seen[summary.shard][summary.start_ms] = record.timestamp_ms - summary.end_ms
            assert summary.observed
            if summary.shard == SILENT:
                assert summary.readings == 0
    for shard, delays in seen.items():
        assert len(delays) == WINDOWS, f"shard {shard} judged {sorted(delays)}"
        # The bound, a heartbeat's cell, and what a busy machine adds.
        assert max(delays.values()) < DISORDER_MS + WINDOW_MS + 5_000, f"shard {shard}: {delays}"


def test_t38_hand_made_corrupt_payloads_are_dead_with_their_bytes(pipeline: Pipeline, published: Published) -> None:
    letters = pipeline.dead_of(NAME["corrupt"])
    limit = pipeline.settings.bridge.payload_bytes
    assert Counter(letter.payload for letter in letters) == Counter(
        payload[:limit] for payload in published.payloads["corrupt"]
    )
    assert all(letter.reason and letter.detail and letter.source for letter in letters)
    _check_books(pipeline, published, "corrupt", allow=("dead-not-sent",))
    _check_alerts(pipeline, published, "corrupt")


def test_t38_every_mutated_payload_comes_out_somewhere(pipeline: Pipeline, published: Published) -> None:
    """In = out + dead, by set difference: a payload is dead as a whole, or each of its readings is there or dead."""
    gateway = NAME["mutated"]
    whole: Counter[bytes] = Counter()
    some: dict[bytes, set[int]] = {}
    for letter in pipeline.dead_of(gateway):
        if letter.indexes:
            some.setdefault(letter.payload, set()).update(letter.indexes)
        else:
            whole[letter.payload] += 1
    received = _received(pipeline, gateway)
    passed = 0
    for payload in published.payloads["mutated"]:
        if whole[payload]:
            continue
        pack = from_either(Pack, payload)
        passed += 1
        dead = some.get(payload, set())
        missing = set(range(len(pack.values))) - dead - received.get((pack.boot, pack.seq), set())
        assert not missing, f"readings {missing} of {payload!r} are nowhere"
    assert set(whole) <= set(published.payloads["mutated"])
    assert 0 < passed < len(published.payloads["mutated"])
    books = pipeline.books({gateway: published.sent[gateway]})
    assert books.not_judged == 0


def _received(pipeline: Pipeline, gateway: str) -> dict[tuple[str, int], set[int]]:
    """Return (boot, number) → places of readings that lie in Kafka."""
    found: dict[tuple[str, int], set[int]] = {}
    for record in pipeline.readings.records:
        decoded = decode_record(record.value)
        for part in decoded.parts if isinstance(decoded, Readings) else ():
            if part.gateway == gateway:
                places = memoryview(part.index).cast("I") if part.index else range(len(part.values) // 8)
                found.setdefault((part.boot, part.seq), set()).update(places)
    return found


def test_t41_schema_changes_are_dead_or_fine_and_never_stop_a_gateway(pipeline: Pipeline, published: Published) -> None:
    letters = pipeline.dead_of(NAME["schemas"])
    assert Counter(letter.payload for letter in letters) == Counter(published.payloads["schemas"])
    reasons = {letter.seq: letter.reason for letter in letters}
    first = min(reasons)
    assert reasons == {first: "unknown-version"} | {first + after: "malformed" for after in range(1, 6)}
    _check_books(pipeline, published, "schemas")
    _check_alerts(pipeline, published, "schemas")


def test_the_job_never_restarted(pipeline: Pipeline, published: Published) -> None:
    """Last of this module: none of the above was more than data to the job."""
    assert restarts(pipeline.settings.flink.rest) == 0
    assert not [letter for letter in pipeline.dead.poll().decoded if letter.service == "job"]
