"""Metrics: every label value is there from the start, and none is made of input."""

from prometheus_client import CollectorRegistry, generate_latest

from connectors.mqtt.metrics import BridgeMetrics
from tests.support.bridge import Bench, pack


def scrape(bench):
    registry = CollectorRegistry()
    registry.register(
        BridgeMetrics(bench.core, now_ms=lambda: bench.now_ms, connected=lambda: True, kafka_pending=lambda: 3)
    )
    return generate_latest(registry).decode()


def test_counts_and_gauges_show_what_happened():
    bench = Bench()
    before = scrape(bench)
    bench.take_pack(pack(values=[1.0, None, 2.0]))
    bench.take(b"junk", "tidemark/v1/s/gw/{evil}")
    bench.pass_time(1_500)
    text = scrape(bench)
    assert 'tidemark_bridge_dead_readings_total{reason="bad-value"} 1.0' in text
    assert 'tidemark_bridge_messages_total{kind="other"} 1.0' in text
    assert "tidemark_bridge_readings_total 2.0" in text
    assert "tidemark_bridge_inflight 2.0" in text
    assert "tidemark_bridge_oldest_unacked_seconds 1.5" in text
    assert text.count("\n") == before.count("\n"), "no label value comes and goes"
