"""The series tables in Kafka, read when one is asked for that is not known."""

import contextlib
import time
from types import TracebackType
from typing import Self

from connectors.kit.settings import KafkaSettings
from connectors.wire.series import SeriesTable
from connectors.wire.topics import SERIES_TABLES
from connectors.wire.versions import WireError, from_json
from deploy.records.read import Reader
from deploy.records.subjects import Names

LOOK_AGAIN_S = 1.0
"""A table that is nowhere must not cost a question to Kafka for each record that names it."""


class Tables:
    """Finds the series of a table by its id. It has a connection of its own, so that reading records goes on."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._known: dict[str, Names] = {}
        self._read_to: dict[int, int] = {}
        self._next_look = 0.0
        self._open = contextlib.ExitStack()
        self._reader: Reader | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def find(self, table: str) -> Names:
        """Return device and quantity of each series; none if Kafka holds no such table.

        Raises
        ------
        Unreachable, RecordsError
            If the tables can't be read.
        """
        if table not in self._known and time.monotonic() >= self._next_look:
            self._look()
            self._next_look = time.monotonic() + LOOK_AGAIN_S
        return self._known.get(table, ())

    def _look(self) -> None:
        if self._reader is None:
            self._reader = self._open.enter_context(Reader(self._kafka))
        for partition, (low, high) in self._reader.spans(SERIES_TABLES).items():
            start = max(low, self._read_to.get(partition, 0))
            for record in self._reader.block(SERIES_TABLES, partition, start, high) if start < high else ():
                self._learn(record.value or b"")
            self._read_to[partition] = high

    def _learn(self, data: bytes) -> None:
        try:
            table = from_json(SeriesTable, data)
        except WireError:
            return  # of a later Tidemark, or a tombstone: its names are unknown here, and left out
        self._known[table.id] = [(series.device, series.quantity) for series in table.series]
