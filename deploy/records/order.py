"""The newest records first, without reading a whole topic."""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence

from deploy.records.record import Record

BLOCK = 200
"""Records read at once, backwards: a block of a partition is what is held in memory."""

ReadBlock = Callable[[int, int, int], Sequence[Record]]
"""Returns the records of a partition from one offset to another (exclusive), in their order; there may be gaps."""


def newest_first(spans: Mapping[int, tuple[int, int]], read: ReadBlock, block: int = BLOCK) -> Iterator[Record]:
    """Yield the records of a topic, newest first, reading only as far back as it is asked.

    Parameters
    ----------
    spans
        Partition → first offset and the one after the last.
    """
    streams = [backwards(partition, low, high, read, block) for partition, (low, high) in spans.items()]
    return heapq.merge(*streams, key=lambda record: (-record.stamp_ms, record.place.partition))


def backwards(partition: int, low: int, high: int, read: ReadBlock, block: int) -> Iterator[Record]:
    """Yield a partition's records from its end, block by block."""
    while high > low:
        start = max(low, high - block)
        yield from reversed(read(partition, start, high))
        high = start
