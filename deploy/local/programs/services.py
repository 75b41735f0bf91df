"""Tidemark's own services, and the keeper that submits the job and submits it again after a job manager was lost."""

import sys
from dataclasses import replace

from connectors.kit.settings import Settings
from deploy.local.effective import SUBSCRIPTIONS_NAME, write_private
from deploy.local.flink.submit import is_wanted
from deploy.local.health import check_http, check_job
from deploy.local.layout import Layout
from deploy.local.part import DATABASE, TOPICS, Launch, Part
from deploy.local.ports import PortUse

FIRST_SUBSCRIPTIONS = """\
# Who is told what, by which channel. Written by Tidemark because there was none; it is yours to change.
# Then: tidemark down && tidemark up
subscriptions:
  - name: everything
    channel: {type: log, path: log/notifications.jsonl}
"""


def service_parts(settings: Settings, layout: Layout) -> list[Part]:
    """Return the services and the job's keeper."""
    return [
        _service("bridge", "connectors.mqtt", "bridge.metrics_port", settings.bridge.metrics_port, "mosquitto", TOPICS),
        _service(
            "influxdb-writer",
            "connectors.influxdb",
            "influxdb.metrics_port",
            settings.influxdb.metrics_port,
            TOPICS,
            DATABASE,
        ),
        _notifier(settings, layout),
        _service("monitor", "connectors.monitor", "monitor.metrics_port", settings.monitor.metrics_port, TOPICS),
        Part(
            name="job",
            launch=lambda: Launch((sys.executable, "-m", "deploy.local.flink.keeper")),
            check=lambda: job_problem(settings),
            # None: it plans the job while the cluster and the topics are still on their way, and waits for them itself.
            stage=0,
            stop_s=60.0,  # it stops the job with a savepoint; without one, the newest checkpoint is there
            start_s=600.0,
        ),
    ]


def job_problem(settings: Settings) -> str | None:
    """Return why the job does not run, or None; one that somebody stopped by hand is left so, and is no problem."""
    return check_job(settings.flink.rest) if is_wanted(settings) else None


def _notifier(settings: Settings, layout: Layout) -> Part:
    """Return the notifier; without a subscriptions file of the user's it begins with one of its own."""
    part = _service("notifier", "connectors.notifier", "notifier.metrics_port", settings.notifier.metrics_port, TOPICS)

    def launch() -> Launch:
        file = settings.notifier.subscriptions_file
        if file == layout.folder / SUBSCRIPTIONS_NAME and not file.exists():
            write_private(file, FIRST_SUBSCRIPTIONS)
        return part.launch()

    return replace(part, launch=launch)


def _service(name: str, module: str, setting: str, port: int, *needs: str) -> Part:
    return Part(
        name=name,
        launch=lambda: Launch((sys.executable, "-m", module)),
        check=lambda: check_http(f"http://127.0.0.1:{port}/readyz"),
        address=f"http://127.0.0.1:{port}/metrics",
        ports=(PortUse(setting, "127.0.0.1", port),),
        needs=needs,
        stop_s=15.0,
    )
