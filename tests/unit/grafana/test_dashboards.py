"""Whatever a dashboard names exists: metrics, labels, measurements, fields, tags, variables."""

import re
from typing import Any

import pytest

from connectors.influxdb.points import Names, alert_line, window_prefix, window_rows
from connectors.wire.alert import AlertEvent
from connectors.wire.summary import WindowSummary
from deploy.metricsdocs import FLINK, metric_lines, registries
from tests.support.dashboards import NAMES, filled, flux_queries, load, panels
from tests.support.samples import SAMPLES

PROMETHEUS_ADDS = {"job", "instance", "le"}
FLINK_LABELS = {"job_name", "task_name", "operator_name", "subtask_index", "tm_id"}


def metrics() -> dict[str, set[str]]:
    """Return the labels of each time series that there is to ask for."""
    found = {name: FLINK_LABELS for name in FLINK}
    for registry in registries().values():
        for line in metric_lines(registry):
            ends = ("_bucket", "_sum", "_count") if line.kind == "histogram" else ("",)
            found |= {line.name + end: set(line.labels) for end in ends}
    return found


METRICS = metrics()
SERVICES = load("services")
SERIES = load("series")
EXPRESSIONS = [
    (panel["title"], target["expr"], target["legendFormat"])
    for panel in panels(SERVICES)
    for target in panel["targets"]
]


def points() -> dict[str, tuple[set[str], set[str]]]:
    """Return measurement → tags and fields, as the writer writes them."""
    summary, event = SAMPLES[WindowSummary], SAMPLES[AlertEvent]
    assert isinstance(summary, WindowSummary)
    assert isinstance(event, AlertEvent)
    prefixes = [window_prefix("s", "g", "d", "q")] * 2
    import numpy as np

    rows, bad = window_rows(summary, lambda _group: Names(prefixes, np.array([True, True])))
    assert not bad
    found: dict[str, tuple[set[str], set[str]]] = {}
    for line in (rows[0].line, alert_line(event)):
        head, fields = re.sub(r'"[^"]*"', '""', line).split(" ")[:2]
        measurement, *tags = head.split(",")
        found[measurement] = (
            {tag.partition("=")[0] for tag in tags},
            {field.partition("=")[0] for field in fields.split(",")},
        )
    return found


POINTS = points()


@pytest.mark.parametrize(("title", "expression", "legend"), EXPRESSIONS)
def test_every_metric_and_label_exists(title: str, expression: str, legend: str) -> None:
    names = re.findall(r"\b(?:tidemark|flink|process)_\w+", expression)
    assert names, "a panel without a metric shows nothing"
    for name in names:
        assert name in METRICS, name
    known = set.union(PROMETHEUS_ADDS, *(METRICS[name] for name in names))
    grouped = {label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", expression) for label in labels.split(",")}
    chosen = {
        label for labels in re.findall(r"\{([^}]*)\}", expression) for label in re.findall(r"(\w+)\s*[=!]", labels)
    }
    shown = set(re.findall(r"\{\{(\w+)\}\}", legend))
    assert grouped | chosen | shown <= known
    assert shown <= grouped or not grouped, "what was summed away can't be shown"


@pytest.mark.parametrize(("title", "expression", "legend"), EXPRESSIONS)
def test_counters_are_shown_as_rates_and_gauges_as_they_are(title: str, expression: str, legend: str) -> None:
    for name in re.findall(r"\b(?:tidemark|process)_\w+", expression):
        is_counted = name.endswith(("_total", "_bucket", "_sum", "_count"))
        assert is_counted == bool(re.search(rf"(?:rate|increase)\({name}\b", expression)), expression
    assert expression.count("(") == expression.count(")")


@pytest.mark.parametrize(("title", "query"), flux_queries(SERIES))
def test_every_measurement_field_and_tag_exists(title: str, query: str) -> None:
    (measurement,) = set(re.findall(r'_measurement == "(\w+)"', query))
    tags, fields = POINTS[measurement]
    assert set(re.findall(r'_field == "(\w+)"', query)) <= fields
    own = {"_measurement", "_field", "_value", "_time"}
    assert set(re.findall(r"\br\.(\w+)", query)) <= tags | own
    made = set(re.findall(r'rename\(columns: \{_value: "([^"]+)"\}', query))
    listed = {
        name for group in re.findall(r"(?:columns|rowKey|columnKey): \[([^\]]*)\]", query) for name in _quoted(group)
    }
    assert listed <= tags | own | made
    assert set(re.findall(r'tag: "(\w+)"', query)) <= tags


def _quoted(text: str) -> list[str]:
    return re.findall(r'"([^"]+)"', text)


def test_the_samples_hold_every_field_that_is_ever_written() -> None:
    assert {"count", "learning", "first", "last", "min", "max", "mean", "spread", "score"} == POINTS["windows"][1]
    assert {"score", "limit", "value", "detail", "unit", "event_id"} <= POINTS["alerts"][1]


@pytest.mark.parametrize("name", NAMES)
def test_no_variable_is_missing_or_of_no_use(name: str) -> None:
    dashboard = load(name)
    declared = {variable["name"] for variable in dashboard["templating"]["list"]}
    text = _text_of(dashboard)
    used = set(re.findall(r"\$\{(\w+)(?::\w+)?\}", text)) | set(re.findall(r"\$(?!__)(\w+)", text))
    assert used == declared


def _text_of(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(map(_text_of, value.values()))
    return "\n".join(map(_text_of, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("name", NAMES)
def test_panels_have_what_they_need_and_room(name: str) -> None:
    dashboard = load(name)
    everything = dashboard["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken: set[tuple[int, int]] = set()
    for panel in everything:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, f"{panel['title']} lies on another"
        assert at["x"] + at["w"] <= 24
        taken |= cells
    shown = panels(dashboard)
    assert len({panel["title"] for panel in shown}) == len(shown)
    for panel in shown:
        assert panel["targets"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        assert panel["datasource"]["uid"] in ("${prometheus}", "${influxdb}")
    rows = [
        panel["type"] == "row"
        for panel in sorted(everything, key=lambda one: (one["gridPos"]["y"], one["gridPos"]["x"]))
    ]
    assert not any(first and second for first, second in zip(rows, [*rows[1:], True], strict=True)), "an empty row"


def test_the_two_dashboards_are_those_the_docs_name() -> None:
    assert NAMES == ["series", "services"]
    assert len({load(name)["uid"] for name in NAMES}) == 2


def test_variables_are_filled_in() -> None:
    for _title, query in flux_queries(SERIES):
        assert "$" not in filled(query, "tidemark").replace(".*$/", "")
        assert "v." not in filled(query, "tidemark").replace("v1.", "").replace("influxdb/v1", "")
