"""What the monitor shows of a look."""

from prometheus_client import generate_latest

from connectors.monitor.conditions import Finding, Observation
from connectors.monitor.metrics import Metrics
from connectors.monitor.standing import SEVERITY


def scrape(metrics: Metrics) -> dict[str, str]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if line.startswith("tidemark_"))


def look(**changes: int | bool | None) -> Observation:
    return Observation(**({"wall_ms": 1, "readings_end": 1, "summaries_end": 1, "job_running": True} | changes))  # type: ignore[arg-type]


def test_a_look_at_a_job_that_runs() -> None:
    metrics = Metrics()
    metrics.show(look(restarts=3, late_dropped=0), [Finding("job-restarted", "", 1.0, 1.0)])
    shown = scrape(metrics)
    assert shown["tidemark_monitor_job_running"] == "1.0"
    assert shown["tidemark_monitor_job_restarts"] == "3.0"
    assert shown["tidemark_monitor_late_dropped_records"] == "0.0"
    standing = {rule: shown[f'tidemark_monitor_findings{{rule="{rule}"}}'] for rule in SEVERITY}
    assert standing == dict.fromkeys(SEVERITY, "0.0") | {"job-restarted": "1.0"}


def test_what_flink_does_not_say_is_unknown_and_an_alert_that_ended_is_gone() -> None:
    metrics = Metrics()
    metrics.show(look(restarts=3, late_dropped=0), [Finding("job-restarted", "", 1.0, 1.0)])
    metrics.show(look(job_running=None), [])
    shown = scrape(metrics)
    assert shown["tidemark_monitor_job_running"] == "0.0"
    assert shown["tidemark_monitor_job_restarts"] == "NaN"
    assert shown["tidemark_monitor_late_dropped_records"] == "NaN"
    assert shown['tidemark_monitor_findings{rule="job-restarted"}'] == "0.0"
    assert len(shown) == len(scrape(Metrics())), "no series comes and goes"
