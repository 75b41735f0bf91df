"""What the monitor shows; of the job too, so that its state is on loopback whatever Flink itself serves."""

from collections.abc import Iterable, Mapping

from prometheus_client import Counter, Gauge

from connectors.kit.metrics import new_registry
from connectors.monitor.conditions import Finding, Observation
from connectors.monitor.refusals import REASONS, Reason
from connectors.monitor.standing import SEVERITY

UNKNOWN = float("nan")
"""Shown where Flink does not answer: the last number would look like news."""


class Metrics:
    """The monitor's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = new_registry()
        self.findings = Gauge(
            "tidemark_monitor_findings", "Whether a system alert stands.", ["rule"], registry=self.registry
        )
        self.running = Gauge(
            "tidemark_monitor_job_running", "Whether Flink says that the job runs.", registry=self.registry
        )
        self.restarts = Gauge(
            "tidemark_monitor_job_restarts",
            "Restarts of the job by itself since it was submitted; NaN while unknown.",
            registry=self.registry,
        )
        self.late_dropped = Gauge(
            "tidemark_monitor_late_dropped_records",
            "Late records that Flink's window dropped, which must be 0; NaN while unknown.",
            registry=self.registry,
        )
        self.refusals = Counter(
            "tidemark_monitor_broker_refusals",
            "What the embedded broker refused, by its log; counted while it listens beyond loopback.",
            ["reason"],
            registry=self.registry,
        )
        for rule in SEVERITY:
            self.findings.labels(rule).set(0)
        for reason in REASONS:
            self.refusals.labels(reason)

    def count(self, refusals: Mapping[Reason, int]) -> None:
        """Add what the broker refused since the last look."""
        for reason, number in refusals.items():
            self.refusals.labels(reason).inc(number)

    def show(self, seen: Observation, findings: Iterable[Finding]) -> None:
        """Show one look and what was found wrong in it."""
        wrong = {finding.rule_id for finding in findings}
        for rule in SEVERITY:
            self.findings.labels(rule).set(rule in wrong)
        self.running.set(bool(seen.job_running))
        self.restarts.set(UNKNOWN if seen.restarts is None else seen.restarts)
        self.late_dropped.set(UNKNOWN if seen.late_dropped is None else seen.late_dropped)
