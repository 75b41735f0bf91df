"""Writes `docs/metrics.md` from the services' registries: `python -m deploy.metricsdocs`."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from connectors.influxdb.metrics import Metrics as InfluxMetrics
from connectors.influxdb.writes import Reason as WriteReason
from connectors.kit.metrics import new_registry
from connectors.kit.settings import Settings
from connectors.monitor.metrics import Metrics as MonitorMetrics
from connectors.monitor.refusals import REASONS as REFUSALS
from connectors.monitor.standing import SEVERITY
from connectors.mqtt.core import Bridge, Options
from connectors.mqtt.metrics import FAILURES, KINDS, BridgeMetrics
from connectors.notifier.channels import Reason as AttemptReason
from connectors.notifier.metrics import Metrics as NotifierMetrics
from connectors.wire.ledger import DeadReason
from connectors.wire.topics import ALERT_EVENTS, WINDOW_SUMMARIES

TARGET = Path("docs/metrics.md")

SERVICES = {
    "bridge": "bridge.metrics_port",
    "influxdb": "influxdb.metrics_port",
    "notifier": "notifier.metrics_port",
    "monitor": "monitor.metrics_port",
}
"""Service, as its metrics name it, and the setting of its port."""

TITLES = {
    "bridge": "Bridge",
    "influxdb": "InfluxDB writer",
    "notifier": "Notifier",
    "monitor": "Monitor",
}

LABELS: dict[str, str] = {
    "kind": ", ".join(KINDS),
    "topic": f"{ALERT_EVENTS}, {WINDOW_SUMMARIES}",
    "partition": "numbers of Kafka partitions",
    "subscription": "names in the subscriptions file",
    "channel": "webhook, apprise, mqtt, log",
    "state": "delivered, dead",
    "rule": ", ".join(SEVERITY),
    "outcome": f"of `tidemark_bridge_kafka_failures`: {', '.join(FAILURES)}; "
    f"of `tidemark_notifier_attempts`: delivered, {', '.join(AttemptReason)}",
    "reason": f"of dead letters: {', '.join(get_args(DeadReason))}; of `tidemark_influxdb_write_failures`: "
    + ", ".join(WriteReason)
    + f"; of `tidemark_monitor_broker_refusals`: {', '.join(REFUSALS)}",
}
"""Label → all the values it can have. Whoever adds one shows that devices can't add values to it."""

UNITS = {
    "seconds": "seconds",
    "bytes": "bytes",
    "fds": "files",
    "up": "0 or 1",
    "connected": "0 or 1",
    "running": "0 or 1",
    "findings": "0 or 1",
    "inflight": "messages",
    "held": "packs",
    "pending": "notifications",
    "kafka_pending": "records",
    "pubacks": "messages",
    "redelivered": "messages",
    "broker_dropped": "messages",
    "broker_refusals": "refusals",
    "connects": "connections",
    "sessions_lost": "connections",
    "client_rebuilds": "clients",
    "kafka_failures": "records",
    "write_failures": "writes",
    "duplicates": "events",
    "repeats": "notifications",
    "unreadable": "records",
    "ended": "notifications",
    "tidemark_influxdb_dead": "points",
    "tidemark_notifier_dead": "notifications",
}
"""What a metric counts, where its last word does not say it; by the end of its name."""

_WORDS = (
    "messages readings letters parts records acks heartbeats packs tables points events notifications attempts restarts"
)
"""Last words that are the unit."""


class MetricLine(NamedTuple):
    """A metric as the page shows it.

    Attributes
    ----------
    name
        As it is scraped, but for a histogram's `_bucket`, `_sum` and `_count`.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    unit: str
    meaning: str


FLINK = {
    "flink_jobmanager_job_numRestarts": "Restarts of the job by itself since it was submitted.",
    "flink_jobmanager_job_lastCheckpointDuration": "Time of the newest checkpoint, ms; alerts become visible after it.",
    "flink_jobmanager_job_lastCheckpointSize": "Size of the newest checkpoint, bytes.",
    "flink_jobmanager_job_numberOfFailedCheckpoints": "Checkpoints that failed since the job was submitted.",
    "flink_taskmanager_job_task_busyTimeMsPerSecond": "How busy a subtask is: 1000 is always.",
    "flink_taskmanager_job_task_backPressuredTimeMsPerSecond": "Waiting for the subtasks after it, ms a second.",
    "flink_taskmanager_job_task_operator_pendingRecords": "Records in Kafka that the job has not read yet.",
    "flink_taskmanager_job_task_operator_currentInputWatermark": "How far event time has come, ms since 1970.",
    "flink_taskmanager_job_task_operator_numLateRecordsDropped": "Late records dropped by the window; must be 0.",
}
"""Those of Flink's metrics that the dashboard shows; Flink has hundreds."""


def registries() -> dict[str, CollectorRegistry]:
    """Return the registry of each service, as it is before anything has happened."""
    bridge = new_registry()
    core = Bridge(Options(shards=1), lambda: "")
    collector: Collector = BridgeMetrics(core, now_ms=lambda: 0, connected=lambda: False, kafka_pending=lambda: 0)
    bridge.register(collector)
    return {
        "bridge": bridge,
        "influxdb": InfluxMetrics().registry,
        "notifier": NotifierMetrics().registry,
        "monitor": MonitorMetrics().registry,
    }


def metric_lines(registry: CollectorRegistry) -> list[MetricLine]:
    """Return every metric of a registry.

    Raises
    ------
    ValueError
        If one's unit is not known.
    """
    declared = _declared_labels(registry)
    found = []
    for family in registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        seen = {label for sample in family.samples for label in sample.labels} - {"le"}
        labels = declared.get(family.name, tuple(sorted(seen)))
        meaning = family.documentation.rstrip(".") + "."
        found.append(MetricLine(name, family.type, labels, unit_of(family.name), meaning))
    return found


def unit_of(name: str) -> str:
    """Return what a metric counts.

    >>> (
    ...     unit_of("tidemark_bridge_received_bytes"),
    ...     unit_of("tidemark_influxdb_up"),
    ...     unit_of("tidemark_bridge_dead_letters"),
    ... )
    ('bytes', '0 or 1', 'letters')
    """
    for end, unit in sorted(UNITS.items(), key=lambda each: -len(each[0])):
        if name.endswith(f"_{end}") or name == end:
            return unit
    last = name.rpartition("_")[2]
    if last in _WORDS.split():
        return last
    raise ValueError(f"{name}: say in UNITS what it counts")


def _declared_labels(registry: CollectorRegistry) -> dict[str, tuple[str, ...]]:
    # A metric without a value yet shows no label; the library names them in private alone.
    collectors = registry._collector_to_names  # noqa: SLF001
    return {
        one._name: tuple(one._labelnames)  # noqa: SLF001
        for one in collectors
        if isinstance(one, MetricWrapperBase)
    }


HEAD = """\
<!-- Written by python -m deploy.metricsdocs from the services' registries; change the help texts there. -->

# Metrics

Each service answers `/metrics` for Prometheus on loopback, beside `/healthz` (it lives) and `/readyz` (it can work).
Labels have closed sets of values: no device, gateway or series is one, so a fleet of any size makes the same number of
time series. Counters begin at 0 with their process. A histogram has `_bucket`, `_sum` and `_count`.

```yaml
scrape_configs:
  - job_name: tidemark
    static_configs:
      - targets: [{targets}]
```

[deploy/grafana](../deploy/grafana) holds two dashboards to import: `services.json` over these metrics, `series.json`
over what is in InfluxDB, by Flux (for the embedded InfluxDB 1.8 choose Flux in Grafana's data source, any organisation,
and `-` as the token).
"""

FLINK_TEXT = """\
## Flink

The monitor's metrics say whether the job runs, how often it restarted, and whether records were dropped. Flink's own,
hundreds of them, are off: its reporter can't be told an address and listens on every one of the machine. Behind a
firewall, set `stack.flink_metrics_port` to a free port, and scrape that port and the next: job and task manager take
one each. The dashboard shows these:
"""


def _table(rows: list[MetricLine]) -> list[str]:
    head = ["| metric | type | labels | unit | meaning |", "|---|---|---|---|---|"]
    return head + [
        f"| `{row.name}` | {row.kind} | {', '.join(row.labels)} | {row.unit} | {row.meaning} |" for row in rows
    ]


def _sections() -> Iterator[str]:
    rows = {name: metric_lines(registry) for name, registry in registries().items()}
    for name, setting in SERVICES.items():
        own = [row for row in rows[name] if row.name.startswith("tidemark_")]
        yield "\n".join([f"## {TITLES[name]}", "", f"Port: `{setting}`.", "", *_table(own), ""])
    process = [row for row in rows["bridge"] if row.name.startswith("process_")]
    yield "\n".join(["## Every service", "", *_table(process), ""])
    labels = [f"| `{label}` | {values} |" for label, values in sorted(LABELS.items())]
    yield "\n".join(["## Labels", "", "| label | values |", "|---|---|", *labels, ""])
    flink = [f"| `{name}` | {meaning} |" for name, meaning in FLINK.items()]
    yield "\n".join([FLINK_TEXT, "| metric | meaning |", "|---|---|", *flink, ""])


def document() -> str:
    """Return the page."""
    defaults = Settings.model_construct()
    ports = [getattr(defaults, setting.partition(".")[0]).metrics_port for setting in SERVICES.values()]
    targets = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    return "\n".join([HEAD.replace("{targets}", targets), *_sections()])


def main(target: Path = TARGET) -> None:
    """Write the page."""
    target.write_text(document())


if __name__ == "__main__":
    main()
