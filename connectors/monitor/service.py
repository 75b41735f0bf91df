"""The monitor's loop: look, judge, append what changed."""

import time
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.kit.kafka import consumer, producer
from connectors.kit.metrics import serve_metrics
from connectors.kit.service import Service, Unreachable
from connectors.kit.settings import Settings
from connectors.monitor.brokerlog import BrokerLog
from connectors.monitor.conditions import Conditions, Limits, Observation
from connectors.monitor.flink import look
from connectors.monitor.metrics import Metrics
from connectors.monitor.standing import Standing
from connectors.wire.alert import AlertEvent, headers
from connectors.wire.topics import ALERT_EVENTS, READINGS, WINDOW_SUMMARIES
from connectors.wire.versions import WireError, from_json, to_json

GROUP = "tidemark-monitor"
KAFKA_SECONDS = 5.0
"""A broker that does not answer within this is seen as down in this look; the next look asks again."""

DELIVERY_SECONDS = 10.0
"""How long a transition may take to reach Kafka before the look that found it counts as failed and is repeated."""


def body(service: Service) -> None:
    """Run until told to stop."""
    settings = service.settings
    reader = consumer(settings.kafka, GROUP)
    conditions = Conditions(limits(settings))
    # First of all: what is refused while Kafka is read counts, too.
    watched = settings.monitor
    broker = BrokerLog(watched.broker_log_file) if watched.broker_log_file else None
    try:
        standing = Standing(past_events(reader))
    except KafkaException as error:
        raise Unreachable(f"Kafka at {settings.kafka.bootstrap}: {error}") from error
    writer = producer(settings.kafka)
    metrics = Metrics()
    server = serve_metrics(settings.monitor.metrics_port, lambda: True, metrics.registry)
    while not service.stop.wait(settings.monitor.interval_ms / 1000):
        seen = observe(reader, settings, time.time_ns() // 1_000_000)
        findings = conditions.judge(seen)
        metrics.show(seen, findings)
        if broker is not None:
            metrics.count(broker.refusals())
        for event in standing.update(findings, seen.wall_ms):
            service.log.warning("system alert", rule=event.rule_id, transition=event.transition, detail=event.detail)
            append(writer, event)
        writer.poll(0)
    left = writer.flush(DELIVERY_SECONDS)
    if left:
        service.log.error("system alerts not delivered", count=left)
    if broker is not None:
        broker.close()
    reader.close()
    server.shutdown()


def limits(settings: Settings) -> Limits:
    """Return when something counts as wrong, which no setting of the pipeline's own times may trip."""
    speed = settings.clock.speed
    cell_ms = settings.time.grid_ms / speed
    window_ms = (settings.time.window_ms + settings.time.disorder_ms) / speed
    least = settings.monitor.patience_ms
    return Limits(
        bridge_silent_ms=int(least + 3 * cell_ms + settings.bridge.heartbeat_grace_ms),
        job_down_ms=least,
        windows_stalled_ms=int(least + 3 * window_ms + settings.bridge.heartbeat_grace_ms),
    )


def observe(reader: Consumer, settings: Settings, wall_ms: int) -> Observation:
    """Look at Kafka and Flink once."""
    job = look(settings.flink.rest)
    return Observation(
        wall_ms=wall_ms,
        readings_end=end_offsets(reader, READINGS),
        summaries_end=end_offsets(reader, WINDOW_SUMMARIES),
        job_running=job.running,
        restarts=job.restarts,
        late_dropped=job.late_dropped,
    )


def end_offsets(reader: Consumer, topic: str) -> int | None:
    """Return the sum of a topic's end offsets, None where Kafka does not answer."""
    try:
        partitions = reader.list_topics(topic, timeout=KAFKA_SECONDS).topics[topic].partitions
        ends = [reader.get_watermark_offsets(TopicPartition(topic, one), timeout=KAFKA_SECONDS) for one in partitions]
    except KafkaException:
        return None
    return sum(int(end[1]) for end in ends if end is not None)


def past_events(reader: Consumer) -> list[AlertEvent]:
    """Read alert-events to its present end."""
    partitions = reader.list_topics(ALERT_EVENTS, timeout=KAFKA_SECONDS).topics[ALERT_EVENTS].partitions
    ends = {one: _offsets(reader, one) for one in partitions}
    left = {one for one, (first, end) in ends.items() if end > first}
    reader.assign([TopicPartition(ALERT_EVENTS, one, ends[one][0]) for one in left])
    events: list[AlertEvent] = []
    while left:
        for message in reader.consume(500, timeout=1.0):
            if message.error() is None:
                events.extend(_readable(message))
        positions = {one.partition: one.offset for one in reader.position(reader.assignment())}
        left = {one for one in left if positions[one] < ends[one][1]}
    reader.unassign()
    return events


def _offsets(reader: Consumer, partition: int) -> tuple[int, int]:
    found: tuple[int, int] = reader.get_watermark_offsets(
        TopicPartition(ALERT_EVENTS, partition), timeout=KAFKA_SECONDS
    )
    return found


def _readable(message: Any) -> list[AlertEvent]:
    try:
        return [from_json(AlertEvent, message.value() or b"")]
    except WireError:
        return []  # not one of the monitor's own, which is all that it looks for


def append(writer: Any, event: AlertEvent) -> None:
    """Append a system alert's transition; librdkafka retries until its message timeout."""
    stamp = datetime.fromtimestamp(event.window_end_ms / 1000, UTC).isoformat(timespec="milliseconds")
    attributes = headers(event, "tidemark/monitor", stamp.replace("+00:00", "Z"))
    writer.produce(ALERT_EVENTS, to_json(event), event.alert_id.encode(), headers=attributes)
