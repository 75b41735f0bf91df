"""What a broker drops is counted and told, whether by its statistics or by the gaps it leaves."""

import pytest

from connectors.mqtt.dropping import DROPPED_TOPIC, QUIET_MS
from connectors.wire.alert import AlertEvent
from connectors.wire.topics import ALERT_EVENTS
from connectors.wire.versions import from_json
from tests.support.bridge import Bench, pack


def count(bench, payload):
    bench.take(payload, DROPPED_TOPIC, mid=0, qos=0)


def events(bench):
    return [from_json(AlertEvent, send.value) for send in bench.sends if send.topic == ALERT_EVENTS]


def test_a_rising_count_is_one_alert_and_its_end():
    bench = Bench()
    for payload in (b"7", b"7", b"9", b"12"):
        count(bench, payload)
    (raised,) = events(bench)
    assert (raised.transition, raised.rule_id, raised.gateway, raised.shard) == ("raised", "broker-dropping", "", -1)
    assert bench.core.drops.dropped == 5
    bench.pass_time(QUIET_MS - 1)
    assert len(events(bench)) == 1
    bench.pass_time(1)
    _, cleared = events(bench)
    assert (cleared.transition, cleared.alert_id) == ("cleared", raised.alert_id)
    count(bench, b"13")
    assert events(bench)[2].alert_id != raised.alert_id


@pytest.mark.parametrize("payload", [b"", b"x", b"-1", b"1.5", b"9" * 30])
def test_what_is_no_count_is_ignored(payload):
    bench = Bench()
    count(bench, b"1")
    count(bench, payload)
    assert not events(bench) and not bench.letters()


def test_a_broker_that_started_anew_counts_from_there():
    bench = Bench()
    for payload in (b"100", b"0", b"1"):
        count(bench, payload)
    assert bench.core.drops.dropped == 1
    bench.pass_time(1)
    assert bench.core.inflight == 0


def test_a_gap_is_counted_once_and_a_resend_is_none():
    bench = Bench()
    for seq, oldest in ((1, 1), (2, 1), (5, 1), (6, 1), (3, 3), (4, 3), (5, 3), (7, 3)):
        bench.take_pack(pack(seq=seq), oldest=oldest)
    assert bench.core.tally.skipped == 2


def test_what_is_acknowledged_already_is_no_gap():
    bench = Bench()
    bench.take_pack(pack(seq=1), oldest=1)
    bench.take_pack(pack(seq=9), oldest=9)
    assert bench.core.tally.skipped == 0
