"""The compacted topic of series tables, as a dictionary that is read on when a table is missing."""

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from connectors.influxdb.writes import Stopped
from connectors.wire.series import SeriesTable, is_genuine
from connectors.wire.topics import SERIES_TABLES
from connectors.wire.versions import WireError, from_json

POLL_SECONDS = 0.2
"""One look at the topic while a table is awaited; short, so that a stop is not held up."""

MISSING_SECONDS = 60.0
"""For so long a table that was awaited in vain is not awaited again, so that one lost table doesn't stop all others."""


class Tables:
    """All series tables, by id.

    Parameters
    ----------
    consumer
        Of its own: it is assigned all partitions from the beginning and commits nothing.
    wait_seconds
        How long an unknown table is awaited.
    stopping
        Ends a wait early.
    """

    def __init__(self, consumer: Any, wait_seconds: float, stopping: Callable[[], bool]) -> None:
        self._consumer = consumer
        self._wait_seconds = wait_seconds
        self._stopping = stopping
        self._assigned = False
        self._tables: dict[str, SeriesTable] = {}
        self._missing: dict[str, float] = {}

    def find(self, table_id: str) -> SeriesTable | None:
        """Return a table, reading on while it is not there; None after the wait.

        Raises
        ------
        Stopped
            If the service stops while waiting: nobody knows yet whether the table would have come.
        """
        table = self._tables.get(table_id)
        if table is not None or time.monotonic() < self._missing.get(table_id, 0.0):
            return table
        deadline = time.monotonic() + self._wait_seconds
        while table_id not in self._tables and time.monotonic() < deadline and not self._stopping():
            self.refresh(POLL_SECONDS)
        found = self._tables.get(table_id)
        if found is None:
            if self._stopping():
                raise Stopped
            self._missing = {key: until for key, until in self._missing.items() if until > time.monotonic()}
            self._missing[table_id] = time.monotonic() + MISSING_SECONDS
        return found

    def refresh(self, timeout_seconds: float) -> None:
        """Take in what lies on the topic now, waiting so long for the first record."""
        if not self._assigned:
            self._assigned = self._assign(timeout_seconds)
            return
        for message in self._consumer.consume(num_messages=500, timeout=timeout_seconds):
            if message.error() is None and message.value() is not None:
                self._take(message.value())

    def _assign(self, timeout_seconds: float) -> bool:
        topic = self._consumer.list_topics(SERIES_TABLES, timeout=max(timeout_seconds, 1.0)).topics.get(SERIES_TABLES)
        if topic is None or not topic.partitions:
            # list_topics answers at once for a topic that isn't there yet; without a pause the wait would spin.
            time.sleep(timeout_seconds)
            return False
        self._consumer.assign([TopicPartition(SERIES_TABLES, number, OFFSET_BEGINNING) for number in topic.partitions])
        return True

    def _take(self, value: bytes) -> None:
        try:
            table = from_json(SeriesTable, value)
        except WireError:
            # The bridge lets only good tables in; a foreign record here is no table of ours, and who needs it is told.
            return
        if is_genuine(table):
            self._tables[table.id] = table
