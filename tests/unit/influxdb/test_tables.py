"""Series tables from their topic: read on while one is missing, within bounds."""

from types import SimpleNamespace
from typing import Any

import pytest

from connectors.influxdb.tables import Tables
from connectors.influxdb.writes import Stopped
from connectors.wire.series import Series, SeriesTable, series_table
from connectors.wire.topics import SERIES_TABLES
from connectors.wire.versions import to_json

TABLE = series_table((Series("press-3", "temperature", "Cel"),))


class Topic:
    """A consumer whose records come one a look; before `exists` there is no such topic."""

    def __init__(self, *values: bytes | None, exists: bool = True) -> None:
        self.values = list(values)
        self.exists = exists
        self.looks = 0

    def list_topics(self, topic: str, timeout: float) -> Any:
        partitions = {0: None} if self.exists else {}
        return SimpleNamespace(topics={topic: SimpleNamespace(partitions=partitions)})

    def assign(self, partitions: list[Any]) -> None:
        assert [each.topic for each in partitions] == [SERIES_TABLES]

    def consume(self, num_messages: int, timeout: float) -> list[Any]:
        self.looks += 1
        if not self.values:
            return []
        value = self.values.pop(0)
        return [SimpleNamespace(error=lambda: None, value=lambda: value)]


def tables(topic: Topic, wait_seconds: float = 5.0, is_stopping: bool = False) -> Tables:
    return Tables(topic, wait_seconds, lambda: is_stopping)


def test_a_table_is_found_behind_others_and_then_known() -> None:
    other = series_table((Series("lamp", "brightness"),))
    topic = Topic(to_json(other), b"no table", None, to_json(TABLE))
    known = tables(topic)
    assert known.find(TABLE.id) == TABLE
    looks = topic.looks
    assert known.find(TABLE.id) == TABLE
    assert known.find(other.id) == other
    assert topic.looks == looks


def test_a_table_that_lies_about_its_id_is_not_taken() -> None:
    forged = SeriesTable(id=TABLE.id, series=(Series("evil", "x"),))
    assert tables(Topic(to_json(forged)), wait_seconds=0.01).find(TABLE.id) is None


def test_one_missing_table_is_awaited_once_and_holds_up_no_other() -> None:
    topic = Topic(to_json(TABLE))
    known = tables(topic, wait_seconds=0.01)
    assert known.find("0" * 16) is None
    looks = topic.looks
    assert known.find("0" * 16) is None
    assert topic.looks == looks
    assert known.find(TABLE.id) == TABLE


def test_a_topic_that_is_not_there_yet_is_awaited() -> None:
    topic = Topic(to_json(TABLE), exists=False)
    assert tables(topic, wait_seconds=0.01).find(TABLE.id) is None
    assert topic.looks == 0


def test_a_stop_says_nothing_about_the_table() -> None:
    with pytest.raises(Stopped):
        tables(Topic(), is_stopping=True).find(TABLE.id)
