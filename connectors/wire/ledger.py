"""Records of what did not go the straight way: dead letters and late readings. Nothing valid is lost in them."""

from typing import ClassVar, Literal

import msgspec

from connectors.wire.record import Part
from connectors.wire.series import SeriesTable

DeadReason = Literal[
    "malformed",  # not JSON or MessagePack of the expected shape
    "unknown-version",  # written by a later Tidemark
    "unknown-topic",  # an MQTT topic that means nothing here
    "topic-mismatch",  # the payload names another gateway or site than its topic
    "columns-differ",  # columns of unequal length, or none
    "too-many-readings",  # more than `MAX_READINGS`
    "too-large",  # larger than the bridge takes
    "unknown-table",  # no such series table within the hold
    "bad-table",  # a table whose id is not the hash of its content
    "unknown-series",  # an index outside the table
    "bad-value",  # null, or not finite
    "bad-time",  # not a number, or before the year 2000
    "future-time",  # too far ahead of the receive time
    "bad-quality",  # not 0, 1 or 2
    "rejected",  # refused by Kafka or InfluxDB for good
    "undeliverable",  # a notification that spent its retries
    "expired",  # what a service could not write in time
]


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be processed, with its bytes.

    Attributes
    ----------
    service
        Who refused it: bridge, job, influxdb, notifier.
    source
        Where it came from: an MQTT topic, or `topic/partition/offset` of Kafka.
    payload
        The bytes as they came, whole, also if only some readings were bad.
    gateway, boot, seq
        Identity where it could be read, else "" and 0.
    indexes
        The bad readings' places in the pack; empty means the whole payload.
    readings
        How many readings are dead with this letter; 0 where the payload could not be counted.
    """

    VERSION: ClassVar[int] = 1
    v: int = 1
    service: str
    reason: DeadReason
    detail: str
    source: str
    received_ms: int
    payload: bytes
    gateway: str = ""
    boot: str = ""
    seq: int = 0
    indexes: list[int] = []
    readings: int = 0


class LateReadings(msgspec.Struct, frozen=True, kw_only=True):
    """Parts of one cell that came after their window; they decode by themselves."""

    VERSION: ClassVar[int] = 1
    v: int = 1
    shard: int
    cell_ms: int
    window_end_ms: int
    offset: int
    parts: list[Part]
    tables: list[SeriesTable] = []
    readings: int
