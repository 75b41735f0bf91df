"""InfluxDB answers every query of the dashboard over its series, and finds the points in it."""

import time

import msgspec
import numpy as np
import pytest
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS

from connectors.influxdb.points import Names, alert_line, window_prefix, window_rows
from connectors.kit.settings import InfluxSettings
from connectors.wire.alert import AlertEvent
from connectors.wire.summary import WindowSummary
from deploy.local.stack import Stack
from tests.support.dashboards import filled, flux_queries, load
from tests.support.samples import SAMPLES

pytestmark = pytest.mark.integration


def lines(now_ms: int) -> list[str]:
    """Return two series of one window, an alert on one of them, and a system alert."""
    summary, event = SAMPLES[WindowSummary], SAMPLES[AlertEvent]
    assert isinstance(summary, WindowSummary)
    assert isinstance(event, AlertEvent)
    start_ms = now_ms // 10_000 * 10_000 - 60_000
    names = Names([window_prefix("plant-1", "gw-7", "press-3", name) for name in ("a", "b")], np.array([True, True]))
    rows, _ = window_rows(msgspec.structs.replace(summary, start_ms=start_ms), lambda _group: names)
    raised = msgspec.structs.replace(event, window_end_ms=start_ms + 10_000)
    nowhere = dict.fromkeys(("site", "gateway", "device", "quantity", "unit"), "")
    system = msgspec.structs.replace(raised, rule_id="job-down", event_id="system", **nowhere)
    return [*(row.line for row in rows), alert_line(raised), alert_line(system)]


def found_by_queries(settings: InfluxSettings) -> dict[str, int]:
    """Write the points and return how many rows each query finds."""
    with InfluxDBClient(settings.url, settings.secret(), org=settings.organisation, timeout=20_000) as client:
        client.write_api(write_options=SYNCHRONOUS).write(settings.bucket, record=lines(time.time_ns() // 1_000_000))
        api = client.query_api()
        return {
            title: sum(len(table.records) for table in api.query(filled(query, settings.bucket)))
            for title, query in flux_queries(load("series"))
        }


def test_every_query_finds_its_points(stack: Stack) -> None:
    found = found_by_queries(stack.settings.influxdb)
    assert all(found.values()), found
    assert found["Alert events"] >= 2, "the system alert, which has no gateway, is there too"
