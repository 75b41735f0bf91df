"""Faults between devices and Kafka, under load from real device clients: nothing is lost, and no alert differs."""

import os
import signal
import time
from pathlib import Path

import pytest

from connectors.wire.partition import shard_of
from tests.support.fleet import Fleet, fleet, names_on_all_shards
from tests.support.gateway import raw_gateway
from tests.support.load import load, sent_by, settle, settle_after_long_outage, wait_packs, with_short_outage
from tests.support.metrics import metric
from tests.support.observe import wait_until
from tests.support.pipeline import DISORDER_MS, KEEPALIVE_S, SHARDS, WINDOW_MS, Pipeline, Sent
from tests.support.side import Side
from tests.support.traffic import DataSet, packed

pytestmark = pytest.mark.integration

RESTART_S = 30.0
"""A service is back within some seconds; a busy machine takes longer, a broken one for ever."""


def dropped_by_broker(pipeline: Pipeline) -> int:
    """Return how often the broker dropped the bridge because it was silent."""
    log = pipeline.stack.log_file("mosquitto").read_text(errors="replace")
    name = pipeline.settings.bridge.client_id
    return sum(name in line and "exceeded timeout" in line for line in log.splitlines())


def test_without_faults(pipeline: Pipeline, outboxes: Path) -> None:
    """The fault-free run that all others are compared with: the same checks hold, and there are no copies."""
    with load(pipeline, outboxes, "calm", windows=4, ack_timeout_ms=20_000) as one:
        assert settle(pipeline, one).duplicates == 0


def test_t01_bridge_killed_mid_batch(pipeline: Pipeline, outboxes: Path) -> None:
    def kill(one: Fleet) -> None:
        one.burst(30)
        wait_until(lambda: not one.loop.idle(), 5, "packs on their way", step_s=0.001)
        pipeline.stack.kill("bridge")
        pipeline.stack.wait_healthy("bridge", RESTART_S)

    with_short_outage(pipeline, outboxes, "t01", kill)


def test_t02_bridge_stands_still_for_two_keepalives(pipeline: Pipeline, outboxes: Path) -> None:
    with load(pipeline, outboxes, "t02", windows=8) as one:
        wait_packs(one, 0.2)
        connects = metric(pipeline.settings.bridge.metrics_port, "tidemark_bridge_connects_total")
        gone = dropped_by_broker(pipeline)
        pipeline.stack.kill("bridge", signal.SIGSTOP)
        time.sleep(2 * KEEPALIVE_S)
        # mosquitto looks at keep-alives every 5 s.
        wait_until(lambda: dropped_by_broker(pipeline) > gone, 15, "the broker to drop the bridge")
        pipeline.stack.kill("bridge", signal.SIGCONT)
        wait_until(
            lambda: metric(pipeline.settings.bridge.metrics_port, "tidemark_bridge_connects_total") > connects,
            RESTART_S,
            "the bridge to connect again",
        )
        assert metric(pipeline.settings.bridge.metrics_port, "tidemark_bridge_sessions_lost_total") == 0
        settle(pipeline, one)


def test_t03_bridge_asked_to_stop(pipeline: Pipeline, outboxes: Path) -> None:
    """It drains, leaves within 10 s, keeps its session, and writes nothing twice."""
    # Devices that wait long before they send again: any copy is then the bridge's or the broker's.
    with load(pipeline, outboxes, "t03", ack_timeout_ms=20_000) as one:
        wait_packs(one, 0.3)
        pid = pipeline.stack.pid("bridge")
        began = time.monotonic()
        pipeline.stack.kill("bridge", signal.SIGTERM)
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 10, "the bridge to leave")
        assert time.monotonic() - began < 10
        pipeline.stack.wait_healthy("bridge", RESTART_S)
        assert settle(pipeline, one).duplicates == 0


def test_t04_broker_killed(pipeline: Pipeline, outboxes: Path) -> None:
    def kill(one: Fleet) -> None:
        one.burst(30)
        wait_until(lambda: not one.loop.idle(), 5, "packs on their way", step_s=0.001)
        pipeline.stack.kill("mosquitto")
        pipeline.stack.wait_healthy("mosquitto", RESTART_S)
        pipeline.stack.wait_healthy("bridge", RESTART_S)

    with_short_outage(pipeline, outboxes, "t04", kill)


def test_t04_what_a_broker_took_and_forgot_comes_again(pipeline: Pipeline, outboxes: Path) -> None:
    """The bridge is away, the broker has acknowledged everything, keeps nothing on disk, and is killed."""
    with Side(pipeline.settings, outboxes / "side-t04") as side:
        side.start_bridge()
        with fleet(side.settings, outboxes, ["forgotten"], pipeline.next_start_ms(), 1) as one:
            one.wait_produced()
            one.wait_acknowledged()
            side.signal_bridge(signal.SIGTERM)
            one.burst(40)
            wait_until(lambda: one.publishes() >= one.committed_packs(), 10, "the broker to take all", one.describe)
            side.kill_broker()
            side.start_broker()
            side.start_bridge()
            one.wait_acknowledged()
            assert one.resent >= 40
            books = pipeline.books(sent_by(one), drained=False)
            assert not books.violations, books
            assert (books.lost, books.in_outboxes) == (0, 0), books


def test_t05_broker_restarted(pipeline: Pipeline, outboxes: Path) -> None:
    def restart(one: Fleet) -> None:
        before = one.connections()
        pipeline.stack.kill("mosquitto", signal.SIGTERM)
        pipeline.stack.wait_healthy("mosquitto", RESTART_S)
        back = pipeline.settings.mqtt.reconnect_max_s + 5  # and what a busy machine adds
        wait_until(lambda: one.connections() >= before + len(one.gateways), back, "all devices to be back")

    with_short_outage(pipeline, outboxes, "t05", restart)


def test_t06_a_full_queue_is_never_silent_and_loses_nothing(pipeline: Pipeline, outboxes: Path) -> None:
    """A broker that keeps 30 messages for the bridge drops the rest, and tells every device that it took them."""
    with Side(pipeline.settings, outboxes / "side-t06", queued=10, inflight=20) as side:
        side.start_bridge()
        port = side.settings.bridge.metrics_port
        with fleet(side.settings, outboxes, ["t06"], pipeline.next_start_ms(), 1) as one:
            one.wait_produced()
            one.wait_acknowledged()
            side.signal_bridge(signal.SIGSTOP)
            one.burst(60)
            wait_until(lambda: one.publishes() >= one.committed_packs(), 10, "the broker to take all", one.describe)
            before = one.acked_packs()
            side.signal_bridge(signal.SIGCONT)
            # What comes next, before the device sends again what was dropped, shows the gap.
            wait_until(lambda: one.acked_packs() > before, 10, "the first of those kept", one.describe, step_s=0.01)
            one.burst(1)
            one.wait_acknowledged()
            wait_until(lambda: metric(port, "tidemark_bridge_broker_dropped_total") > 0, 10, "the drops to be counted")
            wait_until(lambda: "broker-dropping" in system_rules(pipeline), 10, "an alert of the drops")
            assert metric(port, "tidemark_bridge_skipped_packs_total") > 0, "the gap was not seen"
            assert one.resent > 0
            books = pipeline.books(sent_by(one), drained=False)
            # A pack that found room in the queue passes those before it that found none.
            assert not books.failures(allow=("out-of-order",)), books
            assert (books.lost, books.in_outboxes) == (0, 0), books


def system_rules(pipeline: Pipeline) -> set[str]:
    """Return the rules of all alerts that belong to no gateway."""
    return {alert.rule_id for alert in pipeline.alerts_of("")}


def test_messages_wait_for_a_bridge_that_is_away(pipeline: Pipeline, outboxes: Path) -> None:
    """Twice what the broker sends at once, from a device that knows only PUBACK and sends nothing again."""
    with Side(pipeline.settings, outboxes / "side-away") as side, raw_gateway(side.settings.mqtt, "foreign") as client:
        inflight = side.settings.bridge.max_inflight
        side.start_bridge()
        side.signal_bridge(signal.SIGTERM)
        data = DataSet("foreign", pipeline.next_start_ms(), 3, per_window=inflight // 6 + 1)
        packs = packed(data.readings(), 1, "b1", data.table)
        assert len(packs) >= 2 * inflight
        client.publish_table("foreign", data.table)
        client.publish_packs("foreign", packs)
        client.settle(60)
        side.start_bridge()
        last = packs[-1].seq
        wait_until(lambda: client.acked("foreign", "b1") == last, 60, f"ack {last}", lambda: client.acks)
        books = pipeline.books({"foreign": Sent(packs, [data.table], {"b1": last})}, drained=False)
        assert not books.violations, books
        assert (books.lost, books.duplicates) == (0, 0), books


def test_an_outage_of_the_bridge_longer_than_the_bound(pipeline: Pipeline, outboxes: Path) -> None:
    """The books close, and what came after its window is in the late topic."""
    with load(pipeline, outboxes, "away", windows=9) as one:
        wait_packs(one, 0.1)
        pipeline.stack.stop(["bridge"])
        time.sleep(DISORDER_MS / 1000 + 1)
        pipeline.stack.start(["bridge"])
        settle_after_long_outage(pipeline, one)


def test_a_gateway_away_for_longer_than_the_bound_is_late_and_the_books_close(
    pipeline: Pipeline, outboxes: Path
) -> None:
    """Its partition went on without it: what it missed is late, by design, and kept; the others' alerts are as ever."""
    names = names_on_all_shards("gone", SHARDS, 2)
    gone, stays = [name for name in names if shard_of(name, SHARDS) == 0]
    start_ms = pipeline.next_start_ms()
    pipeline.stack.wait_healthy("bridge")
    (outboxes / "gone").mkdir()
    with (
        fleet(pipeline.settings, outboxes, [stays], start_ms, 3) as there,
        fleet(pipeline.settings, outboxes / "gone", [gone], start_ms, 3, connect=False) as away,
    ):
        for one in (there, away):
            one.wait_produced()
        there.wait_acknowledged()
        pipeline.wait_judged(start_ms + 2 * WINDOW_MS)
        away.connect()
        away.wait_acknowledged()
        pipeline.wait_judged(there.end_ms)
        sent = {**sent_by(there), **sent_by(away)}
        late = sum(len(pack.values) for pack in away.packs[gone] if pack.base_ms < start_ms + 2 * WINDOW_MS)

        def seen() -> int:
            return sum(one.readings for one in pipeline.late_of(gone))

        wait_until(lambda: seen() >= late, 20, f"{late} late readings", seen)
        wait_until(lambda: not pipeline.books(sent).not_judged, 20, "all readings to be judged or late")
        books = pipeline.books(sent)
        assert not books.violations, books
        assert books.lost == 0
        assert books.late >= late
        assert books.sent == books.received == books.judged + books.late
        assert pipeline.check_alerts(stays, sent[stays]) > 0
