"""The newest records first, by reading blocks from the end."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from connectors.wire.topics import DEAD_LETTERS
from deploy.records.order import newest_first
from deploy.records.record import Place, Record


class Log:
    """Partitions as lists of (offset, stamp); it notes what was read."""

    def __init__(self, partitions: list[list[tuple[int, int]]]) -> None:
        self.partitions = partitions
        self.asked: list[tuple[int, int, int]] = []

    def read(self, partition: int, low: int, high: int) -> list[Record]:
        self.asked.append((partition, low, high))
        return [
            Record(Place(DEAD_LETTERS, partition, offset), stamp, b"")
            for offset, stamp in self.partitions[partition]
            if low <= offset < high
        ]

    def spans(self) -> dict[int, tuple[int, int]]:
        return {number: (0, records[-1][0] + 3) for number, records in enumerate(self.partitions) if records}


gaps = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), max_size=30)


@given(st.lists(gaps, max_size=4), st.integers(1, 7))
def test_every_record_comes_once_and_none_before_a_newer(steps: list[list[tuple[int, int]]], block: int) -> None:
    partitions = []
    for partition in steps:
        offset, stamp, records = -1, 0, []
        for by, later in partition:
            offset, stamp = offset + by, stamp + later
            records.append((offset, stamp))
        partitions.append(records)
    log = Log(partitions)
    found = list(newest_first(log.spans(), log.read, block))
    assert [record.stamp_ms for record in found] == sorted((s for p in partitions for _, s in p), reverse=True)
    assert {(r.place.partition, r.place.offset) for r in found} == {
        (number, offset) for number, records in enumerate(partitions) for offset, _ in records
    }


def test_only_as_much_is_read_as_is_asked_for() -> None:
    log = Log([[(offset, offset) for offset in range(1_000)]])
    newest = list(islice(newest_first(log.spans(), log.read, 10), 3))
    assert [record.stamp_ms for record in newest] == [999, 998, 997]
    assert log.asked == [(0, 992, 1_002)]
