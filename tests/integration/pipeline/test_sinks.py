"""From alert-events to those who are told: the same event ids in Kafka, in InfluxDB and at a webhook's receiver."""

import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from connectors.kit.settings import SETTINGS_VARIABLE
from deploy.local.effective import part_environment
from deploy.local.layout import PROJECT
from tests.support.influx import InfluxView
from tests.support.load import load, sent_by, settle, wait_packs
from tests.support.observe import wait_until
from tests.support.pipeline import Pipeline, Sent
from tests.support.receiver import Receiver

pytestmark = pytest.mark.integration

TOLD_S = 30.0
"""From a committed alert to its point and its delivery; a busy machine needs seconds."""


@pytest.fixture(scope="module")
def influx(pipeline: Pipeline) -> InfluxView:
    return InfluxView(pipeline.settings.influxdb)


def wait_written(pipeline: Pipeline, influx: InfluxView, gateways: Iterable[str], windows: dict[str, int]) -> None:
    """Return when InfluxDB holds every alert event of the gateways and a point of each (series, window)."""
    for gateway in gateways:
        ids = sorted(alert.event_id for alert in pipeline.alerts_of(gateway))
        assert ids
        wait_until(
            lambda gateway=gateway, ids=ids: influx.event_ids(gateway) == ids,
            TOLD_S,
            f"{len(ids)} alert points of {gateway}",
            lambda gateway=gateway: f"{len(influx.event_ids(gateway))} are there",
            step_s=0.3,
        )
        wait_until(
            lambda gateway=gateway: influx.windows(gateway) == windows[gateway],
            TOLD_S,
            f"{windows[gateway]} window points of {gateway}",
            lambda gateway=gateway: influx.windows(gateway),
            step_s=0.3,
        )


def window_points(pipeline: Pipeline, gateway: str, sent: Sent) -> int:
    return sum(len(rows) for rows in pipeline.expected(gateway, sent).rows.values())


def test_an_alert_reaches_influxdb_and_a_subscriber(
    pipeline: Pipeline, influx: InfluxView, receiver: Receiver, outboxes: Path
) -> None:
    with load(pipeline, outboxes, "told", windows=4) as one:
        settle(pipeline, one)
        sent = sent_by(one)
    wait_written(pipeline, influx, sent, {name: window_points(pipeline, name, sent[name]) for name in sent})
    for gateway in sent:
        ids = sorted(alert.event_id for alert in pipeline.alerts_of(gateway))
        wait_until(
            lambda gateway=gateway, ids=ids: sorted(receiver.event_ids(gateway)) == ids, TOLD_S, "all deliveries"
        )
    assert receiver.refused == 0


def test_t44_writer_killed_after_a_write_and_before_its_commit(
    pipeline: Pipeline, influx: InfluxView, outboxes: Path
) -> None:
    """What was written and not committed is written again: the same points, not one more."""
    with load(pipeline, outboxes, "t44", windows=4) as one:
        wait_packs(one, 0.2)
        pipeline.stack.stop(["influxdb-writer"])
        settle(pipeline, one)
        sent = sent_by(one)
    windows = {name: window_points(pipeline, name, sent[name]) for name in sent}
    environment = part_environment(pipeline.stack.layout)
    assert SETTINGS_VARIABLE in environment
    killed = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_writer"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2_000:]
    written = sum(len(influx.event_ids(name)) + influx.windows(name) for name in sent)
    assert written > 0, "it was killed before it wrote anything"
    pipeline.stack.start(["influxdb-writer"])
    wait_written(pipeline, influx, sent, windows)


def test_everything_told_was_an_alert_and_every_alert_was_told(
    pipeline: Pipeline, influx: InfluxView, receiver: Receiver
) -> None:
    """Over all tests so far: equal sets of event ids, and each once in Kafka and InfluxDB."""

    def sides() -> list[list[str]]:
        kafka = sorted(alert.event_id for alert in pipeline.alerts.poll().decoded)
        return [kafka, sorted(influx.event_ids()), sorted(set(receiver.event_ids()))]

    wait_until(
        lambda: len({tuple(side) for side in sides()}) == 1, TOLD_S, "equal sets", lambda: list(map(len, sides()))
    )
    kafka = sides()[0]
    assert len(kafka) == len(set(kafka))
