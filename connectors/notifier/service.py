"""The notifier: takes alert events in, one thread; delivers, one thread a subscription."""

import sys
import time
from typing import Any

from confluent_kafka import OFFSET_STORED, KafkaError, KafkaException

from connectors.kit.deadletters import deliver
from connectors.kit.kafka import consumer, producer
from connectors.kit.metrics import serve_metrics
from connectors.kit.service import EXIT_SETTINGS, Service, Unreachable
from connectors.kit.settings import SettingsError
from connectors.notifier.channels.build import build_channel
from connectors.notifier.message import message
from connectors.notifier.metrics import Metrics
from connectors.notifier.outbox import Dead, Intake, Outbox, OutboxError
from connectors.notifier.stages import Stage, run_stages
from connectors.notifier.stages.deliver import Deliverer
from connectors.notifier.stages.route import route
from connectors.notifier.subscriptions import load_subscriptions
from connectors.wire.alert import AlertEvent
from connectors.wire.ledger import DeadLetter, DeadReason
from connectors.wire.topics import ALERT_EVENTS
from connectors.wire.versions import WireError, from_json

GROUP = "tidemark-notifier"
SOURCE = "tidemark"
"""CloudEvents' source where the record has none."""

RECORDS = 200
"""Events a transaction: one fsync for all of them."""

POLL_SECONDS = 0.2
"""How long a stop may go unseen, and events wait to share a transaction."""

HOUSEKEEPING_SECONDS = 1.0
STOP_SECONDS = 8.0
"""For attempts under way at a stop. One that takes longer is made again at the next start, under the same id."""

MIDDLE_STAGES: tuple[Stage, ...] = ()
"""Between route and the outbox."""


def wall_ms() -> int:
    """Return wall time: retries and leases don't follow the injected clock."""
    return time.time_ns() // 1_000_000


class Notifier:
    """Puts the parts together and runs them."""

    def __init__(self, service: Service) -> None:
        settings = service.settings
        self._stop = service.stop
        self._log = service.log
        self._clock = service.clock
        self.metrics = Metrics()
        self._subscriptions = load_subscriptions(settings.notifier.subscriptions_file)
        self.outbox = Outbox(settings.notifier.database, wall_ms)
        self._producer = producer(settings.kafka)
        self._consumer = consumer(settings.kafka, GROUP)
        self.is_assigned = False
        self._has_failed = False
        self._next_housekeeping = 0.0
        self._deliverers = [
            Deliverer(
                subscription,
                build_channel(subscription, settings.mqtt),
                self.outbox,
                delays_s=settings.notifier.retry_s,
                metrics=self.metrics,
                log=service.log,
                now_ms=wall_ms,
                failed=self._deliverer_failed,
            )
            for subscription in self._subscriptions
        ]

    def is_ready(self) -> bool:
        """Whether events are taken in and every subscription has its thread."""
        return self.is_assigned and not self._has_failed

    def run(self) -> None:
        """Work until told to stop."""
        names = {subscription.name for subscription in self._subscriptions}
        for name in set(self.outbox.pending_subscriptions()) - names:
            self._log.warning(
                "subscription was removed", subscription=name, given_up=self.outbox.give_up(name, "removed")
            )
        for deliverer in self._deliverers:
            deliverer.start()
        self._consumer.subscribe(
            [ALERT_EVENTS], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )
        try:
            while not self._stop.is_set():
                messages = self._messages(self._consumer.consume(num_messages=RECORDS, timeout=POLL_SECONDS))
                if messages:
                    self._take_in(messages)
                self._keep_house()
        finally:
            self._end()
        if self._has_failed:
            raise RuntimeError("a delivery thread failed; see the log above")

    def _assigned(self, consumer_: Any, partitions: list[Any]) -> None:
        """Read on where the outbox says; Kafka's own offsets count only for an outbox that never read."""
        for partition in partitions:
            known = self.outbox.next_offset(partition.topic, partition.partition)
            partition.offset = OFFSET_STORED if known is None else known
        consumer_.assign(partitions)
        self.is_assigned = bool(partitions)

    def _revoked(self, _consumer: Any, _partitions: list[Any]) -> None:
        self.is_assigned = False

    def _messages(self, polled: list[Any]) -> list[Any]:
        for polled_message in polled:
            error = polled_message.error()
            if error is not None:
                if error.fatal():
                    raise Unreachable(f"Kafka: {error.str()}")
                if error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    self._log.warning("kafka", detail=error.str())
        return [polled_message for polled_message in polled if polled_message.error() is None]

    def _take_in(self, messages: list[Any]) -> None:
        """Make the notifications of some events, in one transaction with the offsets."""
        readable: list[tuple[Any, AlertEvent | None]] = []
        letters: list[DeadLetter] = []
        for record in messages:
            try:
                readable.append((record, from_json(AlertEvent, record.value() or b"")))
            except WireError as error:
                readable.append((record, None))
                letters.append(self._unreadable(record, error))
        if letters and not deliver(self._producer, letters, self._stop.is_set):
            return  # Stopping: nothing is committed, so they come again.
        with self.outbox.intake() as intake:
            for record, event in readable:
                if event is not None:
                    self._notify(intake, record, event)
                intake.advance(record.topic(), record.partition(), record.offset() + 1)
        self.metrics.events.inc(len(messages))
        for deliverer in self._deliverers:
            deliverer.wake()
        self._tell_kafka(messages)

    def _notify(self, intake: Intake, record: Any, event: AlertEvent) -> None:
        routed = route(event, self._subscriptions, intake)
        source = f"{record.topic()}/{record.partition()}/{record.offset()}"
        for each in run_stages(MIDDLE_STAGES, routed, intake):
            words = message(event, each.subscription, _source(record))
            if intake.add(each.subscription, event.alert_id, words, source, each.suppressed):
                self.metrics.created.labels(each.subscription).inc()
            else:
                self.metrics.repeats.inc()

    def _unreadable(self, record: Any, error: WireError) -> DeadLetter:
        reason: DeadReason = "unknown-version" if error.reason == "unknown-version" else "malformed"
        self.metrics.unreadable.labels(reason).inc()
        source = f"{record.topic()}/{record.partition()}/{record.offset()}"
        self._log.warning("dead letter", reason=reason, source=source, detail=error.detail)
        return DeadLetter(
            service="notifier",
            reason=reason,
            detail=error.detail,
            source=source,
            received_ms=self._clock.now_ms(),
            payload=record.value() or b"",
        )

    def _tell_kafka(self, messages: list[Any]) -> None:
        """Commit to Kafka too, for whoever watches lag there; what counts is in the outbox."""
        for record in {record.partition(): record for record in messages}.values():
            try:
                self._consumer.commit(message=record, asynchronous=True)
                _low, high = self._consumer.get_watermark_offsets(_partition(record), cached=True)
            except KafkaException as error:
                self._log.warning("commit failed", detail=str(error))
                continue
            self.metrics.lag.labels(str(record.partition())).set(max(0, high - record.offset() - 1))

    def _keep_house(self) -> None:
        """Report what died to the dead-letter topic, and count what lies in the outbox."""
        if time.monotonic() < self._next_housekeeping:
            return
        self._next_housekeeping = time.monotonic() + HOUSEKEEPING_SECONDS
        dead = self.outbox.dead_letters(unreported_only=True, limit=RECORDS)
        if dead and deliver(self._producer, [self._undeliverable(each) for each in dead], self._stop.is_set):
            self.outbox.reported([each.row for each in dead])
        counts = self.outbox.counts("pending", "dead")
        for deliverer in self._deliverers:
            name = deliverer.subscription
            self.metrics.pending.labels(name).set(counts.get((name, "pending"), 0))
            self.metrics.dead.labels(name).set(counts.get((name, "dead"), 0))

    def _undeliverable(self, dead: Dead) -> DeadLetter:
        return DeadLetter(
            service="notifier",
            reason="undeliverable",
            detail=f"{dead.subscription}: {dead.reason} after {dead.attempts} attempts ({dead.message_id})",
            source=dead.source,
            received_ms=self._clock.now_ms(),
            payload=dead.body,
        )

    def _deliverer_failed(self) -> None:
        self._has_failed = True
        self._stop.set()

    def _end(self) -> None:
        for deliverer in self._deliverers:
            deliverer.stop()
        deadline = time.monotonic() + STOP_SECONDS
        for deliverer in self._deliverers:
            if deliverer.is_alive():
                deliverer.join(max(0.0, deadline - time.monotonic()))
        self._consumer.close()
        self._producer.flush(2)
        self.outbox.close()


def _source(record: Any) -> str:
    """Return the CloudEvents source that the event's writer gave."""
    for name, value in record.headers() or []:
        if name == "ce_source" and value:
            return str(value.decode(errors="replace"))
    return SOURCE


def _partition(record: Any) -> Any:
    from confluent_kafka import TopicPartition

    return TopicPartition(record.topic(), record.partition())


def body(service: Service) -> None:
    """Run the notifier as a service."""
    try:
        notifier = Notifier(service)
    except SettingsError as error:
        print(f"notifier: {error}", file=sys.stderr)
        sys.exit(EXIT_SETTINGS)
    except OutboxError as error:
        raise Unreachable(str(error)) from error
    server: Any = serve_metrics(service.settings.notifier.metrics_port, notifier.is_ready, notifier.metrics.registry)
    try:
        notifier.run()
    finally:
        server.shutdown()


__all__ = ["Notifier", "body"]
