"""The bridge's metrics; every label has a closed set of values."""

from collections.abc import Callable, Iterable
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from connectors.mqtt.core import Bridge
from connectors.wire.ledger import DeadReason

KINDS = ("packs", "series", "status", "mapped", "ignored", "echo", "other")
FAILURES = ("retried", "refused", "heartbeat")


class BridgeMetrics:
    """A Prometheus collector that reads the core's counts when it is asked.

    Parameters
    ----------
    bridge
        The core.
    now_ms
        Injected clock.
    connected
        Whether the MQTT connection stands.
    kafka_pending
        Records handed to Kafka's client and not delivered.
    """

    def __init__(
        self,
        bridge: Bridge,
        *,
        now_ms: Callable[[], int],
        connected: Callable[[], bool],
        kafka_pending: Callable[[], int],
    ) -> None:
        self._bridge = bridge
        self._now_ms = now_ms
        self._connected = connected
        self._kafka_pending = kafka_pending

    def collect(self) -> Iterable[Metric]:
        """Yield every metric."""
        bridge = self._bridge
        tally = bridge.tally
        yield _labelled("messages", "MQTT messages taken", "kind", KINDS, tally.messages)
        yield _labelled("dead_readings", "Readings in dead letters", "reason", get_args(DeadReason), tally.dead)
        yield _labelled("dead_letters", "Dead letters", "reason", get_args(DeadReason), tally.dead_payloads)
        yield _labelled("kafka_failures", "Deliveries that failed", "outcome", FAILURES, tally.kafka_failures)
        for name, help_text, value in (
            ("received_bytes", "Bytes of MQTT payloads", tally.bytes_in),
            ("readings", "Good readings put into records", tally.readings),
            ("parts", "Parts of packs", tally.parts),
            ("records", "Kafka records of readings", tally.records),
            ("pubacks", "MQTT messages acknowledged to the broker", tally.pubacks),
            ("acks", "End-to-end acknowledgements sent", tally.acks),
            ("heartbeats", "Heartbeats written", tally.heartbeats),
            ("skipped_packs", "Packs that did not come in their turn", tally.skipped),
            ("broker_dropped", "Messages that the broker dropped, by its own count", bridge.drops.dropped),
            ("redelivered", "Messages delivered again while still on their way", tally.redelivered),
            ("connects", "Connections to the broker", tally.connects),
            ("sessions_lost", "Connections on which the broker had lost our session", tally.sessions_lost),
            ("client_rebuilds", "MQTT clients replaced by the watchdog", tally.rebuilds),
        ):
            yield CounterMetricFamily(f"tidemark_bridge_{name}", help_text, value=value)
        yield from self._gauges()

    def _gauges(self) -> Iterable[Metric]:
        bridge = self._bridge
        oldest = bridge.oldest_ms()
        age = 0.0 if oldest is None else max(0.0, (self._now_ms() - oldest) / 1000)
        skew = max((abs(value) for value in list(bridge.skew.last.values())), default=0)
        for name, help_text, value in (
            ("inflight", "Messages not yet acknowledged to the broker", bridge.inflight),
            ("held", "Packs that wait for their series table", bridge.held),
            ("tables", "Series tables known", len(bridge.tables)),
            ("kafka_pending", "Records not yet in Kafka", self._kafka_pending()),
            ("connected", "Whether the MQTT connection stands", int(self._connected())),
            ("oldest_unacked_seconds", "Age of the oldest pack not yet in Kafka, injected clock", age),
            ("worst_skew_seconds", "Greatest clock skew of a gateway in the last minute", skew / 1000),
        ):
            yield GaugeMetricFamily(f"tidemark_bridge_{name}", help_text, value=value)


def _labelled(
    name: str, help_text: str, label: str, values: Iterable[str], counts: dict[str, int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(f"tidemark_bridge_{name}", help_text, labels=[label])
    for value in values:
        family.add_metric([value], counts.get(value, 0))
    return family
