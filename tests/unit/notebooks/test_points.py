"""What the notebooks read from InfluxDB."""

import json
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from notebooks.points import ALERT_FIELDS, WINDOW_FIELDS, Alert, Influx, PointsError, Windows, fold


def event(time: int, transition: str, severity: str = "medium", raised_ms: int = 1_000, **more: Any) -> dict[str, Any]:
    known = {"gateway": "g", "device": "d", "quantity": "q", "rule": "drift", "value": 1.5, "score": 7.0}
    return {**known, "time": time, "transition": transition, "severity": severity, "raised_ms": raised_ms, **more}


def test_an_alert_is_folded_from_its_events_in_any_order() -> None:
    events = [
        event(5_000, "cleared", "high", value=2.0),
        event(3_000, "escalated", "critical"),
        event(2_000, "raised"),
        event(4_000, "deescalated", "high"),
    ]
    assert fold(events) == [Alert("g", "d", "q", "drift", "critical", 1_000, 5_000, 1.5, 7.0)]


def test_alerts_differ_by_series_rule_and_first_window() -> None:
    events = [
        event(9_000, "raised", raised_ms=8_000),
        event(2_000, "raised"),
        event(2_000, "raised", rule="stuck"),
        event(2_000, "raised", device=None, quantity=None, rule="gateway-silent", value=None),
    ]
    found = fold(events)
    assert [(alert.device, alert.rule, alert.raised_ms) for alert in found] == [
        ("", "gateway-silent", 1_000),
        ("d", "drift", 1_000),
        ("d", "stuck", 1_000),
        ("d", "drift", 8_000),
    ]
    assert [alert.cleared_ms for alert in found] == [None] * 4


def windows(*starts: int) -> Windows:
    numbers = np.arange(len(starts), dtype=np.float64)
    return Windows(np.array(starts, np.int64), numbers, numbers, numbers, numbers)


def test_a_gap_is_one_window_without_numbers() -> None:
    shown = windows(0, 10, 40, 50, 90).with_gaps(10)
    assert shown.start_ms.tolist() == [0, 10, 20, 40, 50, 60, 90]
    assert np.flatnonzero(np.isnan(shown.mean)).tolist() == [2, 5]
    assert windows(0, 10, 20).with_gaps(10).start_ms.tolist() == [0, 10, 20]
    assert windows().with_gaps(10).start_ms.size == 0


def test_between_takes_the_first_and_leaves_the_last() -> None:
    assert windows(0, 10, 20, 30).between(10, 30).start_ms.tolist() == [10, 20]


@pytest.fixture
def server() -> Iterator["Server"]:
    with Server() as one:
        yield one


class Server:
    """Answers every query with `result` and keeps the queries."""

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}
        self.queries: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
                server.queries += asked["q"]
                body = json.dumps({"results": [server.result]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Keep silent."""

        self._http = HTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> "Server":
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def settings(self, folder: Path) -> Path:
        file = folder / "settings.toml"
        file.write_text(f'[influxdb]\nurl = "http://127.0.0.1:{self._http.server_port}"\nbucket = "tidemark"\n')
        return file


def test_windows_are_asked_for_by_name_whatever_is_in_it(server: Server, tmp_path: Path) -> None:
    server.result = {
        "series": [
            {"columns": ["time", *WINDOW_FIELDS], "values": [[0, 1.0, 0.5, 2.0, None], [10, 3.0, 1.0, 4.0, 9.5]]}
        ]
    }
    found = Influx(server.settings(tmp_path)).windows("g", "d'; DROP", "q\\")
    assert (found.mean.tolist(), found.maximum.tolist()) == ([1.0, 3.0], [2.0, 4.0])
    assert np.isnan(found.score[0])
    assert server.queries[0].endswith("""WHERE "gateway" = 'g' AND "device" = 'd\\'; DROP' AND "quantity" = 'q\\\\'""")


def test_alerts_about_tidemark_itself_are_left_out(server: Server, tmp_path: Path) -> None:
    rows = [
        [at, *(event(at, "raised", gateway=gateway)[name] for name in ALERT_FIELDS)]
        for at, gateway in ((1, "g"), (2, None))
    ]
    server.result = {"series": [{"columns": ["time", *ALERT_FIELDS], "values": rows}]}
    assert [alert.gateway for alert in Influx(server.settings(tmp_path)).alerts()] == ["g"]


def test_nothing_found_is_empty(server: Server, tmp_path: Path) -> None:
    influx = Influx(server.settings(tmp_path))
    assert influx.windows("g", "d", "q").start_ms.size == 0
    assert influx.alerts() == []


def test_what_is_wrong_is_said(server: Server, tmp_path: Path) -> None:
    server.result = {"error": "database not found: tidemark"}
    with pytest.raises(PointsError, match="database not found"):
        Influx(server.settings(tmp_path)).alerts()
    with pytest.raises(PointsError, match=r"none/settings\.toml: No such file or directory; was a stack ever started"):
        Influx(tmp_path / "none" / "settings.toml")
    closed = tmp_path / "settings.toml"
    closed.write_text('[influxdb]\nurl = "http://127.0.0.1:9"\nbucket = "tidemark"\n')
    with pytest.raises(PointsError, match=r"at http://127\.0\.0\.1:9 does not answer, so its stack isn't up"):
        Influx(closed).alerts()
