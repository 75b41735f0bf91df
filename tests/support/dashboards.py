"""The Grafana dashboards' panels and queries, and what Grafana would make of a query's variables."""

import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "deploy/grafana"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return dashboard


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def flux_queries(dashboard: dict[str, Any]) -> list[tuple[str, str]]:
    """Return title and query of every panel, annotation and variable."""
    found = [(panel["title"], target["query"]) for panel in panels(dashboard) for target in panel["targets"]]
    found += [(each["name"], each["target"]["query"]) for each in dashboard["annotations"]["list"]]
    variables = [each for each in dashboard["templating"]["list"] if each["type"] == "query"]
    return found + [(each["name"], each["query"]["query"]) for each in variables]


def filled(query: str, bucket: str, choice: str = ".*") -> str:
    """Return a Flux query as Grafana sends it: of the last hour, every ten seconds, with `choice` for each variable."""
    for name, value in {"timeRangeStart": "-1h", "timeRangeStop": "now()", "windowPeriod": "10s"}.items():
        query = query.replace(f"v.{name}", value)
    return re.sub(r"\$\{\w+:regex\}", choice, query.replace("${bucket}", bucket))
