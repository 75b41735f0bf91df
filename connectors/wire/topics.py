"""Every MQTT and Kafka topic of Tidemark, in one place."""

from dataclasses import dataclass
from typing import Literal

ROOT = "tidemark/v1"
DAY_MS = 86_400_000


@dataclass(frozen=True)
class GatewayTopic:
    """An MQTT topic `tidemark/v1/<site>/<gateway>/<kind>[/<rest>]`, taken apart."""

    site: str
    gateway: str
    kind: str
    rest: str = ""


def gateway_topic(site: str, gateway: str, kind: str, rest: str = "") -> str:
    """Put an MQTT topic together.

    >>> gateway_topic("plant-1", "gw-7", "packs")
    'tidemark/v1/plant-1/gw-7/packs'
    """
    return f"{ROOT}/{site}/{gateway}/{kind}" + (f"/{rest}" if rest else "")


def parse_gateway_topic(topic: str) -> GatewayTopic | None:
    """Take an MQTT topic apart; None if it is not one of ours.

    >>> parse_gateway_topic("tidemark/v1/plant-1/gw-7/series/ab12")
    GatewayTopic(site='plant-1', gateway='gw-7', kind='series', rest='ab12')
    """
    parts = topic.split("/")
    if len(parts) not in (5, 6) or "/".join(parts[:2]) != ROOT or not all(parts):
        return None
    return GatewayTopic(parts[2], parts[3], parts[4], parts[5] if len(parts) == 6 else "")


BRIDGE_SUBSCRIPTIONS = tuple(f"{ROOT}/+/+/{kind}" for kind in ("packs", "series/+", "status"))

READINGS = "tidemark.readings.v1"
LATE_READINGS = "tidemark.late-readings.v1"
DEAD_LETTERS = "tidemark.dead-letters.v1"
SERIES_TABLES = "tidemark.series-tables.v1"
GATEWAY_STATUS = "tidemark.gateway-status.v1"
WINDOW_SUMMARIES = "tidemark.window-summaries.v1"
ALERT_EVENTS = "tidemark.alert-events.v1"
RULES = "tidemark.rules.v1"


@dataclass(frozen=True)
class KafkaTopic:
    """How a Kafka topic is created.

    Attributes
    ----------
    sharded
        Has as many partitions as there are shards (a setting, fixed when created); else `partitions`.
    stamp
        `event`: the producer's timestamp, which is event time; `append`: the broker's.
    retention_days, retention_bytes
        Until when records are kept; None keeps them for ever. `retention_bytes` is for the whole topic. A setting may
        keep all of them for ever (`topics.keep_everything`), which a replay of old data on an old clock needs.
    """

    name: str
    holds: str
    sharded: bool = False
    partitions: int = 1
    compacted: bool = False
    stamp: Literal["event", "append"] = "append"
    retention_days: int | None = 7
    retention_bytes: int | None = None


KAFKA_TOPICS: tuple[KafkaTopic, ...] = (
    # Time-based retention looks at a segment's newest stamp. The bridge's heartbeats put its own clock into each
    # partition, so readings with old stamps (a backlog) stay as long as fresh ones.
    KafkaTopic(READINGS, "Readings, Heartbeat (MessagePack)", sharded=True, stamp="event", retention_bytes=10 * 2**30),
    KafkaTopic(LATE_READINGS, "LateReadings (MessagePack)", partitions=4, retention_bytes=2**30),
    KafkaTopic(DEAD_LETTERS, "DeadLetter (MessagePack)", partitions=4, retention_days=30, retention_bytes=2**30),
    KafkaTopic(SERIES_TABLES, "SeriesTable (JSON), key: table id", compacted=True, retention_days=None),
    KafkaTopic(GATEWAY_STATUS, "Status (JSON), key: site/gateway", compacted=True, retention_days=None),
    KafkaTopic(WINDOW_SUMMARIES, "WindowSummary (MessagePack), key: shard", sharded=True, retention_bytes=2 * 2**30),
    KafkaTopic(
        ALERT_EVENTS, "AlertEvent (JSON, CloudEvents binary mode), key: alert id", partitions=4, retention_days=None
    ),
    KafkaTopic(RULES, "RuleSet (JSON), key: version", compacted=True, retention_days=None),
)
