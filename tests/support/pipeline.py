"""The whole pipeline on real parts, and what a test asks of it: publish, break something, wait, close the books."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from connectors.kit.kafka import producer
from connectors.kit.settings import (
    BridgeSettings,
    ClockSettings,
    FlinkSettings,
    InfluxSettings,
    KafkaSettings,
    MqttSettings,
    NotifierSettings,
    Settings,
    StackSettings,
    TimeSettings,
    TopicSettings,
)
from connectors.wire.alert import AlertEvent
from connectors.wire.ledger import DeadLetter, LateReadings
from connectors.wire.pack import Pack
from connectors.wire.record import Readings, decode_record, encode_record
from connectors.wire.ruleset import RuleSet
from connectors.wire.series import SeriesTable
from connectors.wire.summary import WindowSummary
from connectors.wire.topics import (
    ALERT_EVENTS,
    DEAD_LETTERS,
    LATE_READINGS,
    READINGS,
    RULES,
    SERIES_TABLES,
    WINDOW_SUMMARIES,
)
from connectors.wire.versions import WireError, from_json, from_msgpack, to_json
from deploy.books.close import Books, close_books
from deploy.books.digest import pack_digest
from deploy.books.entries import Entries
from deploy.local.ports import on_free_ports
from deploy.local.stack import Stack
from tests.support.observe import TopicLog, wait_until
from tests.support.offline import Expected, difference, expect, summary_rows
from tests.support.traffic import LIMIT_RULES

SHARDS = 4
WINDOW_MS = 1_000
DISORDER_MS = 8_000
KEEPALIVE_S = 2
DRAIN_S = 40.0
"""From the last reading to its judgement: the disorder bound, a checkpoint, and what a busy machine adds."""

STORES = ["mosquitto", "kafka", "influxd", "jobmanager", "taskmanager"]
SERVICES = ["bridge", "influxdb-writer", "notifier", "job"]


MAPPINGS = """\
site: test
mappings:
  - name: climate
    topic: shop/{gateway}/{device}/state
    gateway: "{gateway}"
    device: "{device}"
    time: {at: ts, form: epoch_ms}
    readings:
      - {value: temperature, quantity: temperature, unit: Cel}
      - {value: humidity, quantity: humidity, unit: "%RH"}
  - name: level
    topic: shop/{gateway}/{device}/level
    gateway: "{gateway}"
    format: text
    device: "{device}"
    readings: [{value: "@", quantity: level, unit: m}]
"""
"""Devices that publish in a form of their own."""


def pipeline_settings(folder: Path) -> Settings:
    """Return settings with short times, on free ports; nothing is read from the environment or another file."""
    mappings = folder / "mappings.yaml"
    mappings.write_text(MAPPINGS)
    return on_free_ports(
        Settings(
            time=TimeSettings(grid_ms=WINDOW_MS, window_ms=WINDOW_MS, disorder_ms=DISORDER_MS),
            clock=ClockSettings(),
            mqtt=MqttSettings(
                keepalive_s=KEEPALIVE_S, reconnect_min_s=0.2, reconnect_max_s=1.0, mappings_file=mappings
            ),
            kafka=KafkaSettings(),
            topics=TopicSettings(shards=SHARDS),
            bridge=BridgeSettings(ack_ms=200, heartbeat_grace_ms=1_500, table_hold_ms=1_500),
            flink=FlinkSettings(parallelism=2, checkpoint_ms=500),
            influxdb=InfluxSettings(series=["*"]),
            notifier=NotifierSettings(subscriptions_file=folder / "subscriptions.yaml"),
            stack=StackSettings(data=folder, short_lived=True),
        )
    )


@dataclass
class Sent:
    """What one gateway sent.

    Attributes
    ----------
    acked
        Boot → up to which number the bridge acknowledged.
    bad
        Number of a pack → places of readings that must be dead.
    refused
        (boot, number) → readings of payloads that must be dead as a whole; they are not in `packs`.
    late_below_ms
        Readings before this must be late, not judged.
    """

    packs: Sequence[Pack]
    tables: Sequence[SeriesTable]
    acked: Mapping[str, int] = field(default_factory=dict)
    bad: Mapping[int, frozenset[int]] = field(default_factory=dict)
    refused: Mapping[tuple[str, int], int] = field(default_factory=dict)
    late_below_ms: int = 0

    def on_time(self) -> list[Pack]:
        return [pack for pack in self.packs if not 0 < pack.base_ms < self.late_below_ms]


class Pipeline:
    """A running stack and everything that lies in its Kafka."""

    def __init__(self, stack: Stack, rules: RuleSet = LIMIT_RULES) -> None:
        self.stack = stack
        self.settings = stack.settings
        self.rules = rules
        kafka = self.settings.kafka
        self.readings = TopicLog(kafka, READINGS)
        self.late = TopicLog(kafka, LATE_READINGS, lambda data: from_msgpack(LateReadings, data))
        self.dead = TopicLog(kafka, DEAD_LETTERS, lambda data: from_msgpack(DeadLetter, data))
        self.summaries = TopicLog(kafka, WINDOW_SUMMARIES, lambda data: from_msgpack(WindowSummary, data))
        self.alerts = TopicLog(kafka, ALERT_EVENTS, lambda data: from_json(AlertEvent, data))
        self.tables = TopicLog(kafka, SERIES_TABLES, lambda data: from_json(SeriesTable, data))
        self.logs = (self.readings, self.late, self.dead, self.summaries, self.alerts, self.tables)

    def publish_rules(self) -> None:
        """Put the tests' rules in force before the job reads them."""
        client = producer(self.settings.kafka)
        client.produce(RULES, to_json(self.rules), key=str(self.rules.version).encode())
        assert client.flush(20) == 0, "Kafka did not take the rule set"

    def next_start_ms(self, lead_ms: int = 500) -> int:
        """Return the start of a window that begins soon."""
        return (int(time.time() * 1000) + lead_ms) // WINDOW_MS * WINDOW_MS + WINDOW_MS

    # Waiting

    def judged_until_ms(self) -> dict[int, int]:
        """Return shard → end of the newest window whose summary is committed."""
        self.summaries.poll()
        ends = {shard: 0 for shard in range(SHARDS)}
        for summary in self.summaries.decoded:
            ends[summary.shard] = max(ends[summary.shard], summary.end_ms)
        return ends

    def wait_judged(self, until_ms: int, timeout_s: float = DRAIN_S) -> None:
        """Return when every shard has judged its windows up to `until_ms`."""
        ahead_s = max(0.0, until_ms / 1000 - time.time())
        wait_until(
            lambda: min(self.judged_until_ms().values()) >= until_ms,
            timeout_s + ahead_s,
            "all windows to be judged",
            lambda: (
                f"ms missing by shard: { {shard: until_ms - end for shard, end in self.judged_until_ms().items()} }"
            ),
            step_s=0.1,
        )

    # What came out

    def close(self) -> None:
        for log in self.logs:
            log.close()

    def poll(self) -> None:
        for log in self.logs:
            log.poll()

    def alerts_of(self, gateway: str) -> list[AlertEvent]:
        self.alerts.poll()
        return [alert for alert in self.alerts.decoded if alert.gateway == gateway]

    def late_of(self, gateway: str) -> list[LateReadings]:
        self.late.poll()
        return [late for late in self.late.decoded if any(part.gateway == gateway for part in late.parts)]

    def dead_of(self, gateway: str) -> list[DeadLetter]:
        self.dead.poll()
        return [letter for letter in self.dead.decoded if letter.gateway == gateway]

    def rows_of(self, gateway: str) -> dict[int, dict[tuple[str, str], tuple[float, ...]]]:
        """Return start of window → series → numbers, from the summaries."""
        self.summaries.poll()
        tables = {table.id: table for table in self.tables.poll().decoded}
        found = {}
        for summary in self.summaries.decoded:
            if any(group.gateway == gateway for group in summary.groups):
                rows = summary_rows(summary, tables).get(gateway)
                if rows:
                    found[summary.start_ms] = rows
        return found

    def expected(self, gateway: str, sent: Sent) -> Expected:
        return expect(gateway, sent.on_time(), sent.tables, self.rules, WINDOW_MS, sent.bad)

    # The checker

    def check_alerts(self, gateway: str, sent: Sent) -> int:
        """Check that exactly the alerts of a fault-free run are there, each once; return how many."""
        expected = self.expected(gateway, sent).alerts

        def differs() -> str:
            return difference(self.alerts_of(gateway), expected)

        # Sinks commit one after the other: a summary may be visible a moment before its window's alerts.
        wait_until(lambda: not differs(), 5, f"the {len(expected)} alerts of a fault-free run of {gateway}", differs)
        return len(expected)

    def books(self, sent: Mapping[str, Sent], drained: bool = True) -> Books:
        """Close the books over the gateways of `sent`.

        A summary counts dropped copies of all gateways together; that they agree with Kafka is checked where no others
        were about.
        """
        self.poll()
        entries = Entries()
        devices = entries.with_devices()
        for gateway, one in sent.items():
            for pack in one.packs:
                devices.committed(gateway, pack.boot, pack.seq, len(pack.values), pack_digest(pack))
            for (boot, seq), readings in one.refused.items():
                devices.committed(gateway, boot, seq, readings)
            for boot, seq in one.acked.items():
                devices.acked(gateway, boot, seq)
        gateways = set(sent)
        for record in self.readings.records:
            value = _only(record.value, gateways)
            if value is not None:
                entries.record(value, record.partition, record.offset)
        for late in self.late.decoded:
            parts = [part for part in late.parts if part.gateway in gateways]
            if parts:
                count = sum(len(part.values) // 8 for part in parts)
                entries.late_readings(msgspec.structs.replace(late, parts=parts, readings=count))
        alone = True
        for summary in self.summaries.decoded:
            judged = [one for one in summary.judged if one.gateway in gateways]
            if judged:
                alone = alone and len(judged) == len(summary.judged)
                count = sum(one.readings for one in judged)
                entries.summaries.add(msgspec.structs.replace(summary, judged=judged, readings=count))
        for letter in self.dead.decoded:
            if letter.gateway in gateways:
                entries.dead.add(letter)
        entries.alert_events += [alert.event_id for alert in self.alerts.decoded if alert.gateway in gateways]
        books = close_books(entries, SHARDS, WINDOW_MS, drained)
        kept = tuple(one for one in books.violations if alone or one.name != "duplicates-differ")
        return replace(books, violations=kept)


def _only(value: bytes, gateways: set[str]) -> bytes | None:
    """Return the record with the parts of these gateways alone, None if it has none; what can't be decoded stays."""
    try:
        record = decode_record(value)
    except WireError:
        return value
    if not isinstance(record, Readings):
        return None
    parts = [part for part in record.parts if part.gateway in gateways]
    return encode_record(msgspec.structs.replace(record, parts=parts)) if parts else None
