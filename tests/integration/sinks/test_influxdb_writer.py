"""The InfluxDB writer on real parts: nothing lost, nothing doubled, a bad point alone."""

import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.influxdb.line import plain_tag
from connectors.wire.ledger import DeadLetter
from connectors.wire.series import Series, series_table
from connectors.wire.topics import ALERT_EVENTS, DEAD_LETTERS
from connectors.wire.versions import from_msgpack
from deploy.local.stack import Stack
from tests.support.observe import TopicLog
from tests.support.sinks import (
    Influx,
    ServiceProcess,
    alert,
    alert_records,
    eventually,
    publish,
    table_record,
    window,
    window_records,
)

pytestmark = pytest.mark.integration

HOSTILE = ["a,b=c\nx y=1", "back\\", "tab\t", "é漢", "50%0A", "50%\n", 'quote"', "#hash", "\x00", "windows,x=1 y=2 3"]


def writer(stack: Stack, log: Path, **overrides: object) -> ServiceProcess:
    return ServiceProcess(stack, "connectors.influxdb", "INFLUXDB", log, table_wait_ms=3_000, **overrides)


def test_alerts_and_selected_windows_are_points_and_a_replay_overwrites(
    stack: Stack, influx: Influx, log: Path
) -> None:
    table = series_table((Series("press-3", "temperature", "Cel"), Series("lamp", "brightness", "cd")))
    events = [alert(number, "gw-plain") for number in range(20)]
    records = alert_records(events) + window_records(window(number, "gw-plain", table) for number in range(5))
    publish(stack.settings.kafka, [table_record(table), *records])
    with writer(stack, log, series='["plant-1/*/press-3/*"]') as service:
        eventually(lambda: len(influx.event_ids("gw-plain")) == 20, "20 alerts", service.log)
        eventually(lambda: len(influx.points("windows", "gw-plain", "mean")) == 5, "5 windows", service.log)
        publish(stack.settings.kafka, records + records)
        eventually(lambda: service.metric("tidemark_influxdb_duplicates_total") == 40, "repeats", service.log)
    assert influx.event_ids("gw-plain") == sorted(event.event_id for event in events)
    points = influx.points("windows", "gw-plain", "mean")
    assert {point["device"] for point in points} == {"press-3"}
    assert sorted(point["_value"] for point in points) == [0.0, 0.01, 0.02, 0.03, 0.04]
    (first,) = [point for point in points if point["_value"] == 0.0]
    assert first["_time"].timestamp() * 1000 == window(0, "gw-plain", table).start_ms


def test_an_outage_is_caught_up_with(stack: Stack, influx: Influx, log: Path) -> None:
    """T42: down for a while; the writer waits, commits nothing, and catches up."""
    events = [alert(number, "gw-outage") for number in range(30)]
    with writer(stack, log) as service:
        publish(stack.settings.kafka, alert_records(events[:10]))
        eventually(lambda: len(influx.event_ids("gw-outage")) == 10, "the alerts before", service.log)
        stack.stop(["influxd"])
        publish(stack.settings.kafka, alert_records(events[10:]))
        eventually(lambda: service.metric("tidemark_influxdb_write_failures_total") >= 2, "failures", service.log)
        assert service.metric("tidemark_influxdb_up") == 0
        assert not service.is_ready()
        # Whoever takes over starts at the same place: nothing was committed.
        assert service.stop() == 0
        service.start()
        stack.start(["influxd"])
        eventually(lambda: len(influx.event_ids("gw-outage")) == 30, "all alerts", service.log)
        eventually(service.is_ready, "ready again", service.log)
    assert influx.event_ids("gw-outage") == sorted(event.event_id for event in events)


def test_a_bad_point_is_dead_alone(stack: Stack, influx: Influx, log: Path) -> None:
    """T43: another type than before, a time that InfluxDB has not, infinity, an unknown table, no event at all."""
    table = series_table((Series("good", "x"), Series("infinite", "x"), Series("conflict", "y")))
    stranger = series_table((Series("never", "published"),))
    # In InfluxDB a field's type is its shard's affair, and the first to come decides it. The field is one that no test
    # asks for: a query over shards of different types gives nothing.
    far = -100 * 8_640  # windows of 10 s: so long ago that this shard is the test's own
    start_ns = window(far, "gw-bad", table).start_ms * 1_000_000
    influx.write(f'windows,site=other,gateway=other,device=x,quantity=x learning="text" {start_ns}')
    good = [alert(number, "gw-bad") for number in range(10)]
    beyond = alert(50, "gw-bad", window_end_ms=2**60)
    publish(
        stack.settings.kafka,
        [
            table_record(table),
            *alert_records([*good[:5], beyond, *good[5:]]),
            (ALERT_EVENTS, b"no event", "x"),
            *window_records(
                [
                    window(1, "gw-bad", table, maximum=[1.0, float("inf"), 1.0]),
                    window(2, "gw-bad", stranger),
                    window(far, "gw-bad", table),
                ]
            ),
        ],
    )
    dead = TopicLog(stack.settings.kafka, DEAD_LETTERS, lambda data: from_msgpack(DeadLetter, data))

    def letters() -> list[DeadLetter]:
        return [letter for letter in dead.poll().decoded if letter.service == "influxdb"]

    with writer(stack, log) as service:
        eventually(lambda: len(letters()) == 5, "5 letters", lambda: (letters(), service.log()))
        eventually(lambda: len(influx.event_ids("gw-bad")) == 10, "the good alerts", service.log)
        assert service.metric("tidemark_influxdb_dead_total") == 7
    found = {(letter.reason, tuple(letter.indexes)) for letter in letters()}
    assert found == {
        ("malformed", ()),
        ("rejected", ()),
        ("bad-value", (1,)),
        ("unknown-table", (0,)),
        ("rejected", (0, 1, 2)),
    }
    assert next(letter for letter in letters() if letter.reason == "malformed").payload == b"no event"
    assert all(letter.source.startswith("tidemark.") for letter in letters())
    assert {point["device"] for point in influx.points("windows", "gw-bad", "mean")} == {"good", "conflict"}
    dead.close()


def test_a_writer_killed_after_the_write_doubles_nothing(stack: Stack, influx: Influx, log: Path) -> None:
    """T44: the points are in InfluxDB, the offsets are not committed, the process is gone."""
    events = [alert(number, "gw-killed") for number in range(25)]
    # Two alerts that begin in one window, on one series, by one rule: apart by their ids alone.
    twins = [
        msgspec.structs.replace(events[0], event_id=f"twin-{number}", alert_id=f"alert-{number}") for number in (1, 2)
    ]
    with killing_proxy(stack.settings.influxdb.url) as proxy:
        service = writer(stack, log, url=proxy.url)
        service.start()
        service.wait_ready()
        proxy.victim = service.process
        publish(stack.settings.kafka, alert_records([*events, *twins]))
        eventually(service.has_died, "the kill", service.log)
    assert influx.event_ids("gw-killed")
    with writer(stack, log) as again:
        eventually(lambda: len(influx.event_ids("gw-killed")) == 27, "all alerts", again.log)
        eventually(lambda: again.metric("tidemark_influxdb_points_total") >= 27, "the repeat", again.log)
    assert influx.event_ids("gw-killed") == sorted(event.event_id for event in [*events, *twins])


def test_hostile_names_are_one_point_each(stack: Stack, influx: Influx, log: Path) -> None:
    """S23: whatever a device is called, its window is one point and its name can be read back."""
    table = series_table(tuple(Series(name, "t,=\\ \n") for name in HOSTILE))
    hostile = alert(1, "gw-hostile", detail='say "no"\nalerts,x=1 y=2 3\\', device="a,b=c\nx y=1")
    publish(
        stack.settings.kafka,
        [table_record(table), *window_records([window(1, "gw-hostile", table)]), *alert_records([hostile])],
    )
    with writer(stack, log) as service:
        eventually(lambda: len(influx.points("windows", "gw-hostile", "mean")) >= len(HOSTILE), "points", service.log)
        eventually(lambda: influx.event_ids("gw-hostile"), "the alert", service.log)
        assert service.metric("tidemark_influxdb_dead_total") == 0
    points = influx.points("windows", "gw-hostile", "mean")
    assert sorted(point["device"] for point in points) == sorted(plain_tag(name) for name in HOSTILE)
    (told,) = influx.points("alerts", "gw-hostile", "detail")
    # InfluxDB answers in CSV, whose writer ends each line of a quoted text with CR LF.
    assert told["_value"].replace("\r\n", "\n") == hostile.detail


class KillingProxy:
    """Stands before InfluxDB; when a write has succeeded there, it kills the victim instead of answering."""

    def __init__(self, target: str) -> None:
        self.victim: Any = None
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                request = urllib.request.Request(target + self.path, body, dict(self.headers.items()), method="POST")
                try:
                    with urllib.request.urlopen(request, timeout=10) as answer:
                        status = answer.status
                except urllib.error.HTTPError as error:
                    status = error.code
                if body and status == 204 and proxy.victim is not None:
                    proxy.victim.send_signal(signal.SIGKILL)
                    return
                self.send_response(status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Keep silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def killing_proxy(target: str) -> Iterator[KillingProxy]:
    proxy = KillingProxy(target)
    threading.Thread(target=proxy.server.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        proxy.server.server_close()
