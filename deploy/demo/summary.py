"""What the demo says at its end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.demo.plan import Plan
from deploy.demo.report import targets


def summary(plan: Plan, report: Mapping[str, Any], folder: Path, addresses: Mapping[str, str]) -> str:
    """Return the summary, with rich's markup.

    Parameters
    ----------
    addresses
        Where the parts of a stack that was left running are; empty if it was stopped.
    """
    return "\n".join(
        [
            *_flow(report),
            "",
            *_found(report),
            "",
            *_expectations(plan, dict(report)),
            *_failures(report),
            "",
            *_next(folder, addresses),
        ]
    )


def _flow(report: Mapping[str, Any]) -> list[str]:
    latency = report["latency_ms"]
    return [
        "",
        f"[bold]{report['sent'] or 0:,}[/] readings sent, {report['received']:,} received, "
        f"{report['judged']:,} judged, {report['late']:,} late, {report['dead']:,} dead, "
        f"[bold]{report['lost'] or 0:,} lost[/]",
        f"[bold]{report['alerts_raised']:,}[/] alerts: {report['alert_events']:,} events in Kafka, "
        f"{report['influx_alerts']:,} in InfluxDB, {report['notifications_delivered']:,} at the subscriber, "
        f"{report['alert_duplicates']:,} duplicates",
        f"first reading acknowledged after {_seconds(report['first_acknowledged_s'])}, judged after "
        f"{_seconds(report['first_judged_s'])}; alerts visible {latency['p50'] or 0:,.0f} ms (p50) and "
        f"{latency['p99'] or 0:,.0f} ms (p99) after their window could be judged; "
        f"memory at most {report['peak_pss_mib']:,.0f} MiB",
    ]


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def _found(report: Mapping[str, Any]) -> list[str]:
    kinds = ", ".join(f"{kind} {share:.2f}" for kind, share in report["recall_by_fault"].items())
    lines = [
        f"Simulated fleet: {report['faults']} faults, recall {report['recall']:.3f} ({kinds}), "
        f"precision {report['precision']:.3f}",
    ]
    for one in (report["machine"], *report["recordings"].values()):
        lines.append(
            f"{one['series'][0].upper()}{one['series'][1:]}: {one['windows_found']} of {one['windows_total']} labelled "
            f"windows found, {one['raised_outside']} alerts outside, the longest {one['longest_active_hours']:.1f} h"
        )
    return lines


def _expectations(plan: Plan, report: dict[str, Any]) -> list[str]:
    return [f"  {'[green]✓[/]' if one.met else '[yellow]✗[/]'} {one.words}" for one in targets(report)]


def _failures(report: Mapping[str, Any]) -> list[str]:
    if not report["failures"]:
        return []
    return ["", "[bold red]The run failed:[/]", *(f"  [red]✗[/] {_plain(one)}" for one in report["failures"])]


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _next(folder: Path, addresses: Mapping[str, str]) -> list[str]:
    lines = [
        "Open next:",
        f"  {folder}/machine_temperature.png  the machine, its labelled windows, and the alerts",
        f"  {folder}/report.json  every figure",
        f"  {folder}/truth.jsonl  what was wrong with the fleet; {folder}/log  what each part said",
    ]
    if addresses:
        lines += [f"  {name:<9} {address}" for name, address in addresses.items()]
        lines += [
            f"  TIDEMARK_SETTINGS={folder}/settings.toml tidemark tail alert-events --from-beginning",
            f"  tidemark down --data {folder}  stops it",
        ]
    else:
        lines.append("  tidemark demo --keep  leaves all of it running, to look into; make up  starts in real time")
    return lines
