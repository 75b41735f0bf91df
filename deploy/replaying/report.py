"""What a replay says at its end, for programs and for people. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.wire.alert import AlertEvent
from deploy.replaying.plan import ReplayPlan
from deploy.replaying.run import Replayed
from simulators.truth import raised

MOST_SHOWN = 20
"""Alerts in the text: the rest is in InfluxDB and in --json."""


def as_report(plan: ReplayPlan, result: Replayed) -> dict[str, Any]:
    """Return the report; all counts are readings, times are event time in ms."""
    books = result.books
    if books is None:
        raise ValueError("the replay has no books")
    cleared = {event.alert_id: event.window_end_ms for event in result.events if event.transition == "cleared"}
    settings = result.stack.settings
    return {
        "sent": books.sent,
        "judged": books.judged,
        "late": books.late,
        "dead": books.dead,
        "lost": books.lost,
        "windows": plan.windows,
        "window_ms": plan.window_ms,
        "start_ms": plan.start_ms,
        "end_ms": plan.end_ms,
        "speed": round(plan.speed, 1),
        "alerts": [_alert(event, cleared.get(event.alert_id)) for event in raised(result.events)],
        "violations": [f"{one.name}: {one.count:,}, {one.detail}" for one in books.violations],
        "notes": plan.notes(),
        "settings": str(result.stack.settings_file),
        "influxdb": settings.influxdb.url,
    }


def _alert(event: AlertEvent, cleared_ms: int | None) -> dict[str, Any]:
    return {
        "device": event.device,
        "quantity": event.quantity,
        "rule": event.rule_id,
        "severity": event.severity,
        "raised_ms": event.raised_ms,
        "cleared_ms": cleared_ms,
        "value": event.value,
        "detail": event.detail,
    }


def as_text(report: Mapping[str, Any], folder: Path) -> str:
    """Return the report for people; `folder` as the user typed it."""
    alerts = report["alerts"]
    lines = [
        f"{report['sent']:,} readings sent, {report['judged']:,} judged in {report['windows']:,} windows of "
        f"{report['window_ms'] / 1000:g} s, {report['late']:,} late, {report['dead']:,} dead, {report['lost']:,} lost",
        f"{len(alerts):,} alerts" + (":" if alerts else "; the rules saw nothing unusual"),
        *(_line(alert) for alert in alerts[:MOST_SHOWN]),
        *([f"  and {len(alerts) - MOST_SHOWN:,} more"] if len(alerts) > MOST_SHOWN else []),
        *(f"WRONG: {one}" for one in report["violations"]),
        "",
        "The stack runs on, its clock past the recording's end. Next:",
        f"  InfluxDB  {report['influxdb']}  (database tidemark: windows, alerts)",
        f"  TIDEMARK_SETTINGS={folder}/settings.toml tidemark tail alert-events --from-beginning",
        f"  tidemark down --data {folder}  stops it",
    ]
    return "\n".join(lines) + "\n"


def _line(alert: Mapping[str, Any]) -> str:
    where = "/".join(part for part in (alert["device"], alert["quantity"]) if part) or "the gateway"
    until = f"until {_minute(alert['cleared_ms'])}" if alert["cleared_ms"] else "to the end"
    return f"  {_minute(alert['raised_ms'])} {until:<22} {alert['severity']:<9} {alert['rule']:<14} {where}"


def _minute(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M}"
