"""Which records carry series tables: enough that each window, and each late record, decodes by itself."""

from collections import OrderedDict

MAX_REMEMBERED = 200_000
"""(gateway, table, cell) remembered; bounds memory. What is forgotten is embedded again, which costs bytes alone."""


class Embedding:
    """Decides if a record carries a table: the first of its (gateway, table, cell), or one that may be judged alone.

    A record may come late only if its cell ended `disorder_ms` before the newest stamp in its partition; it then
    carries its tables whether or not an earlier record of the cell did, because that one may have been on time.

    Parameters
    ----------
    grid_ms, disorder_ms
        The cell's length, and how far the watermark stays behind the newest stamp.
    """

    def __init__(self, grid_ms: int, disorder_ms: int) -> None:
        self._grid_ms = grid_ms
        self._disorder_ms = disorder_ms
        self._done: OrderedDict[tuple[str, str, int], None] = OrderedDict()

    def needed(self, gateway: str, table: str, cell_ms: int, newest_ms: int | None) -> bool:
        """Whether the next record of this cell carries the table; the answer is remembered.

        Parameters
        ----------
        newest_ms
            Newest stamp in the partition; None if it is not known, and then any record may come late.
        """
        if newest_ms is None or cell_ms + self._grid_ms - 1 <= newest_ms - self._disorder_ms:
            return True
        key = (gateway, table, cell_ms)
        if key in self._done:
            return False
        self._done[key] = None
        if len(self._done) > MAX_REMEMBERED:
            self._done.popitem(last=False)
        return True

    def forget(self, gateway: str, table: str, cell_ms: int) -> None:
        """Note that the record that carried the table did not reach Kafka."""
        self._done.pop((gateway, table, cell_ms), None)
