"""What the tests of the InfluxDB writer and the notifier share: processes, records, questions to InfluxDB."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from influxdb_client import InfluxDBClient

from connectors.kit.kafka import producer
from connectors.kit.settings import SETTINGS_VARIABLE, InfluxSettings, KafkaSettings
from connectors.wire.alert import AlertEvent, alert_id, event_id
from connectors.wire.series import SeriesTable
from connectors.wire.summary import Group, WindowSummary
from connectors.wire.topics import ALERT_EVENTS, DAY_MS, SERIES_TABLES, WINDOW_SUMMARIES
from connectors.wire.versions import to_json, to_msgpack
from deploy.local.ports import free_ports
from deploy.local.stack import Stack
from tests.support.observe import wait_until

START_MS = (time.time_ns() // 1_000_000 // DAY_MS - 30) * DAY_MS
"""A month ago: the embedded InfluxDB refuses what is older than its retention."""

READY_S = 60.0
"""A service is ready within a few seconds; a busy machine takes longer."""


class ServiceProcess(AbstractContextManager["ServiceProcess"]):
    """`python -m <module>` against a stack, with settings overridden by the environment."""

    def __init__(self, stack: Stack, module: str, section: str, log: Path, **overrides: object) -> None:
        self.port = free_ports(1)[0]
        self._module = module
        self._log = log
        values = {f"TIDEMARK_{section}__METRICS_PORT": self.port} | {
            f"TIDEMARK_{section}__{name.upper()}": value for name, value in overrides.items()
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
        self._environment = kept | {SETTINGS_VARIABLE: str(stack.settings_file)}
        self._environment |= {name: str(value) for name, value in values.items()}
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self._module], stdout=log, stderr=log, env=self._environment
            )

    def wait_ready(self) -> None:
        wait_until(self.is_ready, READY_S, f"{self._module} to be ready", self.log)

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, HTTPException):
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def has_died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> int:
        """Ask it to stop and return its exit code; it has 15 s, as under the stack's supervisor."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"{self._module} did not stop: {self.log()}") from None
        return self.process.returncode

    def log(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-25:])

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + " ", name + "{")))


def publish(kafka: KafkaSettings, records: Iterable[tuple[str, bytes, str]]) -> None:
    """Put (topic, value, key) into Kafka and wait until it is there."""
    one = producer(kafka)
    for topic, value, key in records:
        one.produce(topic, value, key.encode())
    assert one.flush(30) == 0


def alert(number: int, gateway: str, **changes: Any) -> AlertEvent:
    """Return the raising of alert `number` of a gateway."""
    raised = START_MS + number * 10_000
    which = alert_id(gateway, "press-3", "temperature", "drift", raised)
    event = AlertEvent(
        event_id=event_id(which, "raised", raised + 10_000),
        alert_id=which,
        transition="raised",
        severity="high",
        site="plant-1",
        gateway=gateway,
        device="press-3",
        quantity="temperature",
        unit="Cel",
        rule_id="drift",
        detector="cusum",
        raised_ms=raised,
        window_start_ms=raised,
        window_end_ms=raised + 10_000,
        score=2.0,
        limit=1.0,
        value=70.0 + number,
        detail="drifted",
    )
    return msgspec.structs.replace(event, **changes)


def alert_records(events: Iterable[AlertEvent]) -> list[tuple[str, bytes, str]]:
    return [(ALERT_EVENTS, to_json(event), event.alert_id) for event in events]


def table_record(table: SeriesTable) -> tuple[str, bytes, str]:
    return SERIES_TABLES, to_json(table), table.id


def window(number: int, gateway: str, table: SeriesTable, **columns: list[float]) -> WindowSummary:
    """Return the summary of window `number`, in which series i has the mean i + number/100."""
    rows = len(table.series)
    index = np.arange(rows)

    def column(name: str, kind: str, default: Any) -> bytes:
        return np.array(columns.get(name, default)).astype(kind).tobytes()

    ones = [1.5] * rows
    return WindowSummary(
        shard=0,
        start_ms=START_MS + number * 10_000,
        end_ms=START_MS + (number + 1) * 10_000,
        observed=True,
        readings=3 * rows,
        duplicates=0,
        rule_version=1,
        first_offset=0,
        last_offset=0,
        groups=[Group("plant-1", gateway, table.id, rows)],
        series=column("series", "<u4", index),
        count=column("count", "<u4", [3] * rows),
        first=column("first", "<f8", ones),
        last=column("last", "<f8", ones),
        minimum=column("minimum", "<f8", ones),
        maximum=column("maximum", "<f8", ones),
        mean=column("mean", "<f8", index + number / 100),
        spread=column("spread", "<f8", ones),
        score=column("score", "<f4", [0.5] * rows),
        learning=column("learning", "u1", [0] * rows),
        judged=[],
    )


def window_records(windows: Iterable[WindowSummary]) -> list[tuple[str, bytes, str]]:
    return [(WINDOW_SUMMARIES, to_msgpack(each), str(each.shard)) for each in windows]


class Influx:
    """Asks InfluxDB, by Flux through the client, for what a gateway has there."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._client = InfluxDBClient(
            url=settings.url, token=settings.secret(), org=settings.organisation, timeout=30_000
        )
        self._bucket = settings.bucket

    def points(self, measurement: str, gateway: str, field: str) -> list[dict[str, Any]]:
        """Return the points that have `field`, each as its tags, `_time` and `_value`."""
        query = (
            "from(bucket: bucket) |> range(start: 0, stop: 2100-01-01T00:00:00Z)"
            " |> filter(fn: (r) => r._measurement == measurement and r.gateway == gateway and r._field == field)"
        )
        texts = {"bucket": self._bucket, "measurement": measurement, "gateway": gateway, "field": field}
        # InfluxDB 1.8 knows no query parameters: options stand before the query. json quotes as Flux does.
        options = "\n".join(f"{name} = {msgspec.json.encode(text).decode()}" for name, text in texts.items())
        tables = self._client.query_api().query(f"{options}\n{query}")
        return [record.values for table in tables for record in table.records]

    def event_ids(self, gateway: str) -> list[str]:
        return sorted(point["_value"] for point in self.points("alerts", gateway, "event_id"))

    def write(self, line: str) -> None:
        from influxdb_client.client.write_api import SYNCHRONOUS

        self._client.write_api(write_options=SYNCHRONOUS).write(bucket=self._bucket, record=line)

    def close(self) -> None:
        self._client.close()


def eventually(condition: Callable[[], Any], what: str, state: Callable[[], object], timeout_s: float = 60.0) -> Any:
    """Return the condition's first true answer."""
    return wait_until(condition, timeout_s, what, state, step_s=0.2)
