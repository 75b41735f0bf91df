"""What the books are closed on: the devices' side, the topics' records, and the ids of alert events."""

from array import array
from dataclasses import dataclass, field

import numpy as np

from connectors.wire.ledger import DeadLetter, LateReadings
from connectors.wire.mapped import MAPPED_BOOT
from connectors.wire.record import Heartbeat, decode_record
from connectors.wire.summary import WindowSummary
from connectors.wire.versions import WireError
from deploy.books.copies import Collector
from deploy.books.keys import I64, INDEX_BITS, U64, BooksError, StreamId, Streams, mapped_place, member, pack_key

_LONGEST_RANGE = 1 << 22
"""Sequence numbers in one range of a summary; a longer one is nonsense and would fill the memory."""


@dataclass(frozen=True)
class Sent:
    """What devices committed, one row a pack, sorted by `pack`; all `(packs,)`.

    Attributes
    ----------
    digest, has_digest
        `pack_digest` of the content where the ledger knows it.
    waiting
        Whether the pack is still in its outbox.
    acked
        `(streams,)`: the bridge's last acknowledgement as the device saw it, -1 for none.
    """

    pack: U64
    readings: I64
    digest: U64
    has_digest: np.ndarray[tuple[int], np.dtype[np.bool_]]
    waiting: np.ndarray[tuple[int], np.dtype[np.bool_]]
    acked: I64


class Devices:
    """The devices' side, pack by pack; compact, so that a load test with packs of one reading fits too."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._packs = array("Q")
        self._readings = array("q")
        self._digests = array("Q")
        self._has_digest = array("b")
        self._waiting = array("Q")
        self._acks: dict[StreamId, int] = {}

    def committed(self, gateway: str, boot: str, seq: int, readings: int, digest: int | None = None) -> None:
        """Enter a pack that a device committed to its outbox."""
        self._packs.append(pack_key(self._streams.id(gateway, boot), seq))
        self._readings.append(readings)
        self._digests.append(digest or 0)
        self._has_digest.append(digest is not None)

    def waiting(self, gateway: str, boot: str, seq: int) -> None:
        """Enter a pack that is still in an outbox."""
        self._waiting.append(pack_key(self._streams.id(gateway, boot), seq))

    def acked(self, gateway: str, boot: str, seq: int) -> None:
        """Enter an acknowledgement of the bridge: all up to `seq` is in Kafka."""
        stream = self._streams.id(gateway, boot)
        self._acks[stream] = max(seq, self._acks.get(stream, -1))

    def done(self) -> Sent:
        """Return all that was entered; a pack that was entered twice counts once."""
        packs, row = np.unique(np.array(self._packs, np.uint64), return_index=True)
        acked = np.full(len(self._streams.names), -1, np.int64)
        for stream, seq in self._acks.items():
            acked[stream] = seq
        return Sent(
            packs,
            np.array(self._readings, np.int64)[row],
            np.array(self._digests, np.uint64)[row],
            np.array(self._has_digest, bool)[row],
            member(packs, np.unique(np.array(self._waiting, np.uint64))),
            acked,
        )


@dataclass(frozen=True)
class Judged:
    """What window summaries say.

    Attributes
    ----------
    pack, window_ms, entry
        `(packs of entries,)`: pack, start of its window, and the entry that names it.
    entry_readings
        `(entries,)`: readings that the entry claims.
    readings, duplicates
        Totals over all summaries.
    repeated
        Readings of summaries whose (shard, window) was there already.
    """

    pack: U64
    window_ms: I64
    entry: I64
    entry_readings: I64
    readings: int
    duplicates: int
    repeated: int


class Summaries:
    """Takes window summaries one by one."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._rows: list[tuple[U64, int, int]] = []
        self._readings: list[int] = []
        self._seen: set[tuple[int, int]] = set()
        self._totals = [0, 0, 0]

    def add(self, summary: WindowSummary) -> None:
        """Take a summary. Raises `BooksError` for a range that can't be."""
        window = summary.shard, summary.start_ms
        self._totals[0] += summary.readings
        self._totals[1] += summary.duplicates
        self._totals[2] += summary.readings if window in self._seen else 0
        self._seen.add(window)
        for one in summary.judged:
            stream = self._streams.id(one.gateway, one.boot)
            ranges = [*zip(one.ranges[::2], one.ranges[1::2], strict=True)]
            if one.boot == MAPPED_BOOT:  # Two of them may share what the books take of their numbers.
                places = {(mapped_place(first)[0], mapped_place(last)[0]) for first, last in ranges}
                ranges = sorted({(seq, seq) for place in places for seq in place})
            for first, last in ranges:
                if not 0 <= last - first < _LONGEST_RANGE:
                    raise BooksError(f"a summary of shard {summary.shard} judged the range {first} to {last}")
                packs = np.arange(pack_key(stream, first), pack_key(stream, last) + 1, dtype=np.uint64)
                self._rows.append((packs, summary.start_ms, len(self._readings)))
            self._readings.append(one.readings)

    def done(self) -> Judged:
        """Return all that was taken."""
        lengths = [len(packs) for packs, _, _ in self._rows]
        packs = np.concatenate([packs for packs, _, _ in self._rows]) if self._rows else np.empty(0, np.uint64)
        windows = np.repeat(np.array([start for _, start, _ in self._rows], np.int64), lengths)
        entries = np.repeat(np.array([entry for _, _, entry in self._rows], np.int64), lengths)
        return Judged(packs, windows, entries, np.array(self._readings, np.int64), *self._totals)


@dataclass
class Dead:
    """Dead letters: single readings, whole packs, and what has no identity.

    Attributes
    ----------
    whole
        Pack → readings that the letter claims.
    unidentified
        Letters that belong to no known pack.
    offsets
        (partition, offset) of readings records that the job could not decode.
    """

    streams: Streams
    readings: set[int] = field(default_factory=set)
    whole: dict[int, int] = field(default_factory=dict)
    unidentified: int = 0
    offsets: set[tuple[int, int]] = field(default_factory=set)

    def add(self, letter: DeadLetter) -> None:
        """Take a letter."""
        if letter.service in ("influxdb", "notifier"):
            return
        if letter.service == "job":
            _, _, place = letter.source.partition("/")
            partition, _, offset = place.partition("/")
            if partition.isdigit() and offset.isdigit():
                self.offsets.add((int(partition), int(offset)))
            return
        if not letter.gateway or not letter.boot or letter.seq < 1:
            self.unidentified += 1
            return
        pack = pack_key(self.streams.id(letter.gateway, letter.boot), letter.seq)
        if letter.indexes:
            self.readings.update((pack << INDEX_BITS) | index for index in letter.indexes)
        else:
            self.whole[pack] = letter.readings


class Entries:
    """Everything that the books are closed on, taken one by one and in any order of sources."""

    def __init__(self) -> None:
        self.streams = Streams()
        self.devices: Devices | None = None
        self.readings = Collector(self.streams)
        self.late = Collector(self.streams)
        self.summaries = Summaries(self.streams)
        self.dead = Dead(self.streams)
        self.undecodable: list[tuple[int, int]] = []
        self.heartbeats = 0
        self.alert_events: list[str] = []
        self.influx_events: list[str] | None = None
        self.webhook_events: list[str] | None = None

    def with_devices(self) -> Devices:
        """Return the devices' side; from now on the books ask for what was sent."""
        if self.devices is None:
            self.devices = Devices(self.streams)
        return self.devices

    def record(self, value: bytes, partition: int, offset: int) -> None:
        """Take a record of the readings topic."""
        try:
            record = decode_record(value)
            if isinstance(record, Heartbeat):
                self.heartbeats += 1
                return
            for part in record.parts:
                self.readings.add(part, record.cell_ms, partition, offset)
        except (WireError, BooksError):
            self.undecodable.append((partition, offset))

    def late_readings(self, late: LateReadings) -> None:
        """Take a record of the late topic."""
        for part in late.parts:
            self.late.add(part, late.cell_ms, late.shard, late.offset)
