"""A gateway's clock beyond the limit is an alert, once, and its end too."""

import pytest

from connectors.mqtt.skew import SkewWatch, alert_record, still_active
from connectors.wire.alert import AlertEvent
from connectors.wire.topics import ALERT_EVENTS
from tests.support.bridge import NOW_MS, Bench, pack

LIMIT_MS = 300_000


def minute(watch, number, *skews):
    """Note `skews` in a minute and return the events at its end."""
    watch.tick(NOW_MS + number * 60_000, number * 60_000)
    for skew in skews:
        watch.note("s", "gw", skew)
    return watch.tick(NOW_MS + (number + 1) * 60_000, (number + 1) * 60_000)


@pytest.mark.parametrize("skew", [LIMIT_MS + 1, -LIMIT_MS - 1])
def test_raised_once_and_cleared(skew):
    watch = SkewWatch(LIMIT_MS)
    (raised,) = minute(watch, 0, skew)
    assert (raised.transition, raised.gateway, raised.device, raised.rule_id) == ("raised", "gw", "", "clock-skew")
    assert raised.raised_ms == NOW_MS and raised.score == LIMIT_MS + 1
    assert ("ahead" in raised.detail) == (skew > 0)
    assert minute(watch, 1, skew) == []
    assert minute(watch, 2) == [], "no news is no change"
    (cleared,) = minute(watch, 3, 0)
    assert (cleared.transition, cleared.alert_id) == ("cleared", raised.alert_id)
    assert cleared.event_id != raised.event_id
    assert minute(watch, 4, 5) == []


def test_one_quick_publish_clears_many_slow_ones():
    watch = SkewWatch(LIMIT_MS)
    assert minute(watch, 0, -400_000, -350_000, -20, -900_000) == []


def test_an_alert_survives_a_restart():
    first = SkewWatch(LIMIT_MS)
    (raised,) = minute(first, 0, 400_000)
    second = SkewWatch(LIMIT_MS, still_active([raised]))
    assert minute(second, 5, 400_000) == []
    (cleared,) = minute(second, 6, 0)
    assert cleared.alert_id == raised.alert_id
    assert still_active([raised, cleared]) == {}


def test_the_record_is_a_cloud_event():
    (event,) = minute(SkewWatch(LIMIT_MS), 0, 400_000)
    send = alert_record(event, "/tidemark/bridge/b")
    headers = dict(send.headers)
    assert (send.topic, send.key) == (ALERT_EVENTS, event.alert_id.encode())
    assert headers["ce_id"] == event.event_id.encode()
    assert headers["ce_time"] == b"2023-11-14T22:14:20.000Z"
    assert isinstance(event, AlertEvent)


def test_a_gateway_ahead_of_the_bridge_is_reported_through_the_core():
    bench = Bench()
    bench.pass_time(10)
    bench.echo()
    bench.take_pack(pack(), sent_ms=NOW_MS + 400_000)
    bench.pass_time(61_000)
    assert [send.topic for send in bench.sends if send.topic == ALERT_EVENTS] == [ALERT_EVENTS]


def test_a_backlog_is_not_taken_for_a_slow_clock():
    bench = Bench()
    bench.pass_time(10)
    bench.take_pack(pack(), sent_ms=NOW_MS - 400_000)
    bench.echo()
    bench.pass_time(61_000)
    assert not [send for send in bench.sends if send.topic == ALERT_EVENTS]


def test_a_queue_behind_an_outage_of_kafka_is_not_taken_for_a_slow_clock():
    bench = Bench()
    bench.pass_time(10)
    bench.echo()
    bench.pass_time(10_000)
    bench.pass_time(5_000)
    bench.take_pack(pack(), sent_ms=NOW_MS - 400_000)
    bench.pass_time(61_000)
    assert not [send for send in bench.sends if send.topic == ALERT_EVENTS]
