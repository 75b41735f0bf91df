"""The comparisons, each pure: arrays in, numbers and what is wrong out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from connectors.wire.partition import shard_of
from deploy.books.copies import Distinct, Parts
from deploy.books.entries import Dead, Judged, Sent
from deploy.books.keys import I64, INDEX_BITS, U64, Streams, member, packs_of, seqs_of, streams_of

Fault = Literal[
    "lost",  # sent, and neither received, nor dead, nor in an outbox
    "acknowledged-but-lost",  # the bridge acknowledged a pack that is not whole in Kafka or dead
    "invented",  # received, but no device sent it
    "content-differs",  # received with other times, values, series or quality than sent
    "copies-differ",  # two copies of a reading are not equal
    "out-of-order",  # a gateway's packs first appear in another order than it sent them
    "wrong-partition",  # a gateway's packs are not on its shard's partition
    "ledger-gap",  # a device's own sequence numbers have a gap
    "judged-twice",  # two windows judged the same readings
    "judged-not-received",  # a summary names a pack that is not in the topic
    "judged-count-differs",  # a summary counts other readings than the topic holds
    "not-judged",  # received, and neither judged nor late
    "late-not-received",  # the late topic holds what the readings topic doesn't
    "dead-not-sent",  # a dead letter names a reading that no device sent
    "duplicates-differ",  # the job dropped another number of copies than the topic holds
    "undecodable",  # a record that can't be read and that no dead letter explains
    "alert-duplicates",  # an event id is there twice, read committed
    "ids-differ",  # the sets of event ids differ between Kafka, InfluxDB and the webhook's receiver
]


@dataclass(frozen=True)
class Violation:
    """Something that must never be.

    Attributes
    ----------
    count
        How often: readings, packs or events, as `detail` says.
    detail
        One sentence for people, with the first of them.
    """

    name: Fault
    count: int
    detail: str


def _found(name: Fault, count: int, detail: str) -> list[Violation]:
    return [Violation(name, int(count), detail)] if count else []


def describe(packs: Iterable[int], streams: Streams, most: int = 3) -> str:
    """Name the first packs for people: `gw-1 (boot ab12) seq 7, …`."""
    keys = np.fromiter(packs, np.uint64)
    named = zip(streams_of(keys[:most]).tolist(), seqs_of(keys[:most]).tolist(), strict=True)
    words = [f"{streams.names[stream][0]} (boot {streams.names[stream][1]}) seq {seq}" for stream, seq in named]
    return ", ".join(words) + (f" and {len(keys) - most} more" if len(keys) > most else "")


@dataclass(frozen=True)
class Account:
    """From the devices to Kafka."""

    sent: int
    dead: int
    in_outboxes: int
    lost: int
    violations: list[Violation]


def account(sent: Sent, got: Distinct, dead: Dead, streams: Streams) -> Account:
    """Compare what devices committed with what lies in Kafka and what is dead."""
    known = _known(got.keys, sent)
    dead_keys = _dead_keys(dead, sent)
    dead_known = _known(dead_keys, sent)
    only_dead = dead_keys[dead_known & ~member(dead_keys, got.keys)]
    received = np.bincount(_rows(got.keys[known], sent), minlength=len(sent.pack))
    missing = sent.readings - received - np.bincount(_rows(only_dead, sent), minlength=len(sent.pack))
    acked = seqs_of(sent.pack) <= _padded(sent.acked, streams)[streams_of(sent.pack)]
    lost = (missing > 0) & ~sent.waiting
    broken = (missing > 0) & acked
    wrong = sent.has_digest & (received == sent.readings) & (_pack_digests(got, known, sent) != sent.digest)
    invented = ~known & ~streams.mapped(packs_of(got.keys))
    strange = np.unique(packs_of(got.keys[invented]))
    ghosts = np.unique(packs_of(dead_keys[~dead_known]))
    gaps = _gaps(sent)
    violations = [
        *_found("lost", int(missing[lost].sum()), f"readings of {describe(sent.pack[lost], streams)}"),
        *_found(
            "acknowledged-but-lost", int(missing[broken].sum()), f"readings of {describe(sent.pack[broken], streams)}"
        ),
        *_found("invented", int(invented.sum()), f"readings of {describe(strange, streams)}"),
        *_found("content-differs", int(wrong.sum()), f"packs: {describe(sent.pack[wrong], streams)}"),
        *_found("dead-not-sent", int((~dead_known).sum()), f"readings of {describe(ghosts, streams)}"),
        *_found("ledger-gap", len(gaps), f"packs missing in the devices' ledgers before {describe(gaps, streams)}"),
    ]
    total, waiting = int(sent.readings.sum()), int(missing[sent.waiting].sum())
    return Account(total, len(only_dead), waiting, int(missing[lost].sum()), violations)


def _rows(readings: U64, sent: Sent) -> I64:
    return np.searchsorted(sent.pack, packs_of(readings)).astype(np.int64)


def _known(readings: U64, sent: Sent) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    known = member(packs_of(readings), sent.pack)
    index = (readings[known] & np.uint64((1 << INDEX_BITS) - 1)).astype(np.int64)
    known[known] = index < sent.readings[_rows(readings[known], sent)]
    return known


def _dead_keys(dead: Dead, sent: Sent) -> U64:
    single = np.fromiter(dead.readings, np.uint64, len(dead.readings))
    counts = dict(zip(sent.pack.tolist(), sent.readings.tolist(), strict=True)) if dead.whole else {}
    whole = [
        (np.uint64(pack) << np.uint64(INDEX_BITS)) | np.arange(counts.get(pack, max(claimed, 1)), dtype=np.uint64)
        for pack, claimed in dead.whole.items()
    ]
    keys: U64 = np.unique(np.concatenate([single, *whole]))
    return keys


def _padded(acked: I64, streams: Streams) -> I64:
    """Streams that appeared after the devices' side was closed have no acknowledgement."""
    return np.concatenate([acked, np.full(len(streams.names) - len(acked), -1, np.int64)])


def _pack_digests(got: Distinct, known: np.ndarray[tuple[int], np.dtype[np.bool_]], sent: Sent) -> U64:
    """Return the sums of the received readings' digests, `(packs of sent,)`."""
    sums = np.zeros(len(sent.pack), np.uint64)
    packs = packs_of(got.keys[known])
    if len(packs):
        starts = np.flatnonzero(np.concatenate([[True], packs[1:] != packs[:-1]]))
        sums[np.searchsorted(sent.pack, packs[starts])] = np.add.reduceat(got.digests[known], starts)
    return sums


def _gaps(sent: Sent) -> U64:
    streams, seqs = streams_of(sent.pack), seqs_of(sent.pack)
    first = np.ones(len(streams), bool)
    first[1:] = streams[1:] != streams[:-1]
    before = np.where(first, 0, np.concatenate([[0], seqs[:-1]])) if len(seqs) else seqs
    after: U64 = sent.pack[seqs != before + 1]
    return after


Held = tuple[Parts, Distinct]
"""What a topic holds: its parts, and every reading once."""


@dataclass(frozen=True)
class Judgement:
    """From Kafka through the job."""

    judged: int
    late: int
    not_judged: int
    violations: list[Violation]


def judgement(held: Held, late_held: Held, judged: Judged, window_ms: int, streams: Streams) -> Judgement:
    """Compare what the topic holds with what summaries and the late topic say of it."""
    parts, got = held
    late_parts, late = late_held
    packs = np.unique(np.concatenate([parts.pack, late_parts.pack, judged.pack]))
    pairs, inverse = np.unique(_pairs(parts, packs, window_ms), return_inverse=True)
    readings = np.bincount(inverse[got.part], minlength=len(pairs))
    claimed, counts = np.unique(_pair(judged.pack, judged.window_ms, packs, window_ms), return_counts=True)
    twice = np.searchsorted(pairs, claimed[(counts > 1) & member(claimed, pairs)])
    by_entry = _readings_by_entry(judged, packs, pairs, readings, window_ms)
    phantom = ~member(claimed, pairs)
    is_judged = member(pairs, claimed)
    is_copy = member(_pairs(late_parts, packs, window_ms), claimed)[late.part]
    really_late = late.keys[~is_copy]
    in_topic = member(really_late, got.keys)
    judged_count = int(readings[is_judged].sum())
    rest = ~is_judged[inverse[got.part]] & ~member(got.keys, really_late)
    copies_dropped = judged.duplicates + late.copies + int(is_copy.sum())
    violations = [
        *_found(
            "judged-twice", int(readings[twice].sum()) or judged.repeated, "readings counted by more than one window"
        ),
        *_found("judged-not-received", int(phantom.sum()), "packs in summaries that the topic doesn't hold"),
        *_found("judged-count-differs", _differing(by_entry, judged), "summaries' entries that count other readings"),
        *_found("not-judged", int(rest.sum()), f"readings of {describe(np.unique(packs_of(got.keys[rest])), streams)}"),
        *_found("late-not-received", int((~in_topic).sum()), "readings in the late topic alone"),
        *_found(
            "duplicates-differ",
            abs(copies_dropped - got.copies),
            f"the topic holds {got.copies} copies, the job dropped {copies_dropped}",
        ),
    ]
    return Judgement(judged_count, len(really_late), int(rest.sum()), violations)


def _pairs(parts: Parts, packs: U64, window_ms: int) -> U64:
    return _pair(parts.pack, parts.cell_ms, packs, window_ms)


def _pair(pack: U64, time_ms: I64, packs: U64, window_ms: int) -> U64:
    """Return one number for (pack, window); `packs` is sorted and holds every pack."""
    window = ((time_ms // window_ms) & 0xFFFFFFFF).astype(np.uint64)
    pair: U64 = (np.searchsorted(packs, pack).astype(np.uint64) << np.uint64(32)) | window
    return pair


def _readings_by_entry(judged: Judged, packs: U64, pairs: U64, readings: I64, window_ms: int) -> I64:
    """Return how many readings the topic holds of each entry's packs, `(entries,)`."""
    mine = _pair(judged.pack, judged.window_ms, packs, window_ms)
    if not len(pairs):
        return np.zeros(len(judged.entry_readings), np.int64)
    at = np.minimum(np.searchsorted(pairs, mine), len(pairs) - 1)
    held = np.where(pairs[at] == mine, readings[at], 0)
    return np.bincount(judged.entry, weights=held, minlength=len(judged.entry_readings)).astype(np.int64)


def _differing(by_entry: I64, judged: Judged) -> int:
    total_differs = int(judged.readings != int(judged.entry_readings.sum()))
    return int(np.count_nonzero(by_entry != judged.entry_readings)) or total_differs


def order(parts: Parts, streams: Streams, shards: int) -> list[Violation]:
    """Check that each gateway's packs first appear in the order in which it numbered them, on its own partition."""
    row = np.lexsort((np.arange(len(parts.pack)), parts.offset, parts.partition))
    packs, first = np.unique(parts.pack[row], return_index=True)
    appeared = np.lexsort((first, streams_of(packs)))
    stream, seq = streams_of(packs[appeared]), seqs_of(packs[appeared])
    back = np.flatnonzero((np.diff(seq) < 0) & (np.diff(stream) == 0)) + 1
    back = back[~streams.mapped(packs[appeared][back])]
    home = np.array([shard_of(gateway, shards) for gateway, _ in streams.names], np.int64)
    astray = parts.pack[home[streams_of(parts.pack)] != parts.partition] if len(parts.pack) else parts.pack
    return [
        *_found("out-of-order", len(back), f"packs: {describe(packs[appeared][back], streams)}"),
        *_found("wrong-partition", len(astray), f"parts of {describe(np.unique(astray), streams)}"),
    ]


@dataclass(frozen=True)
class AlertBooks:
    """From the job to those who are told."""

    duplicates: int
    ids_equal: bool | None
    violations: list[Violation]


def alert_books(kafka: Sequence[str], influx: Sequence[str] | None, webhook: Sequence[str] | None) -> AlertBooks:
    """Compare the event ids of alert-events, InfluxDB and the webhook's receiver; None is a side that wasn't asked."""
    ids = set(kafka)
    repeats = len(kafka) - len(ids)
    sides = {"InfluxDB": influx, "the webhook's receiver": webhook}
    asked = {name: set(side) for name, side in sides.items() if side is not None}
    details = [
        f"{name} lacks {len(ids - side)} and has {len(side - ids)} that alert-events doesn't"
        for name, side in asked.items()
        if side != ids
    ]
    differing = sum(len(ids ^ side) for side in asked.values())
    violations = [
        *_found("alert-duplicates", repeats, "event ids that alert-events holds more than once"),
        *_found("ids-differ", differing, "; ".join(details)),
    ]
    return AlertBooks(repeats, not differing if asked else None, violations)
