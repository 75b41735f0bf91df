"""`docs/metrics.md` lists the metrics there are, and no label can grow with the fleet."""

import ast
import zipfile
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from connectors.notifier.subscriptions import AppriseChannel, LogChannel, MqttChannel, WebhookChannel
from deploy.local.flink.distribution import find_distribution
from deploy.metricsdocs import FLINK, LABELS, SERVICES, TARGET, document, metric_lines, registries, unit_of

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / TARGET).read_text()
CHOSEN_BY_DEVICES = ("site", "gateway", "device", "series", "quantity", "boot", "table", "event_id", "alert_id", "seq")


def test_the_page_is_what_the_registries_say() -> None:
    assert document() == PAGE, "run: python -m deploy.metricsdocs"


@pytest.mark.parametrize("service", SERVICES)
def test_every_metric_that_is_scraped_stands_on_the_page(service: str) -> None:
    scraped = [
        line.split()[2:] for line in generate_latest(registries()[service]).decode().splitlines() if "# TYPE" in line
    ]
    assert len(scraped) > 8
    for name, kind in scraped:
        assert f"| `{name}` | {kind} |" in PAGE


def test_the_page_lists_nothing_else() -> None:
    listed = [line.split("`")[1] for line in PAGE.splitlines() if line.startswith(("| `tidemark_", "| `process_"))]
    real = [line.name for registry in registries().values() for line in metric_lines(registry)]
    assert sorted(listed) == sorted(set(real))


def test_labels_are_closed_sets() -> None:
    used = {label for registry in registries().values() for line in metric_lines(registry) for label in line.labels}
    assert used == set(LABELS), "say in LABELS all the values that a label can have"
    assert not used & set(CHOSEN_BY_DEVICES)


def test_a_new_metric_without_a_unit_is_refused() -> None:
    registry = CollectorRegistry()
    Counter("tidemark_bridge_oddities", "Odd.", registry=registry)
    with pytest.raises(ValueError, match="tidemark_bridge_oddities: say in UNITS"):
        metric_lines(registry)
    assert unit_of("tidemark_bridge_kafka_pending") == "records"


def label_arguments() -> list[tuple[str, str]]:
    """Return every expression that services give to `labels(…)`, with its file."""
    found = []
    for path in (ROOT / "connectors").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "labels":
                found += [(path.name, ast.unparse(argument)) for argument in node.args]
    return found


def test_no_label_is_filled_with_what_a_device_chose() -> None:
    arguments = label_arguments()
    assert len(arguments) >= 15
    for where, expression in arguments:
        words = set(expression.replace(".", " ").replace("_", " ").replace("(", " ").replace(")", " ").split())
        assert not words & set(CHOSEN_BY_DEVICES), f"{where}: {expression}"


def test_the_channels_named_are_those_there_are() -> None:
    channels = (WebhookChannel, AppriseChannel, MqttChannel, LogChannel)
    types = {get_args(channel.model_fields["type"].annotation)[0] for channel in channels}
    assert set(LABELS["channel"].split(", ")) == types


CLASSES = {
    "flink-dist": (
        "org/apache/flink/runtime/metrics/MetricNames.class",
        "org/apache/flink/runtime/checkpoint/DefaultCheckpointStatsTracker.class",
    ),
    "flink-table-runtime": ("org/apache/flink/table/runtime/operators/window/tvf/common/WindowAggOperator.class",),
}


def flink_constants() -> bytes:
    """Return the classes in which Flink names the metrics that we show."""
    found = b""
    for jar, names in CLASSES.items():
        (path,) = find_distribution().home.glob(f"lib/{jar}-[0-9]*.jar")
        with zipfile.ZipFile(path) as content:
            found += b"".join(content.read(name) for name in names)
    return found


def test_flink_has_the_metrics_that_the_page_names() -> None:
    constants = flink_constants()
    for name in FLINK:
        last = name.rpartition("_")[2].encode()
        # A text constant of a class: a one, its length in two bytes, the text.
        assert b"\x01" + len(last).to_bytes(2, "big") + last in constants, name
