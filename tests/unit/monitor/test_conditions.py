"""What counts as wrong, and from when on."""

from dataclasses import replace

import pytest

from connectors.monitor.conditions import Conditions, Limits, Observation

LIMITS = Limits(bridge_silent_ms=90, job_down_ms=60, windows_stalled_ms=120, restarted_ms=300)
FINE = Observation(wall_ms=1_000, readings_end=10, summaries_end=5, job_running=True, restarts=0, late_dropped=0)


def rules(conditions: Conditions, seen: Observation) -> set[str]:
    return {finding.rule_id for finding in conditions.judge(seen)}


def later(seen: Observation, milliseconds: int, **changes: object) -> Observation:
    return replace(seen, wall_ms=seen.wall_ms + milliseconds, **changes)  # type: ignore[arg-type]


def test_moving_pipeline_is_fine() -> None:
    conditions = Conditions(LIMITS)
    for step in range(100):
        seen = later(FINE, step * 50, readings_end=10 + step, summaries_end=5 + step)
        assert rules(conditions, seen) == set()


def test_readings_that_stand_still_are_the_bridges_alert_alone() -> None:
    conditions = Conditions(LIMITS)
    assert rules(conditions, FINE) == set()
    assert rules(conditions, later(FINE, 90)) == set()
    assert rules(conditions, later(FINE, 91)) == {"bridge-silent"}
    assert rules(conditions, later(FINE, 500)) == {"bridge-silent"}
    assert rules(conditions, later(FINE, 501, readings_end=11, summaries_end=6)) == set()


def test_windows_that_stand_still_while_readings_come() -> None:
    conditions = Conditions(LIMITS)
    conditions.judge(FINE)
    assert rules(conditions, later(FINE, 120, readings_end=11)) == set()
    assert rules(conditions, later(FINE, 121, readings_end=12)) == {"windows-stalled"}


@pytest.mark.parametrize("running", [False, None])
def test_job_that_is_down_for_long(running: bool | None) -> None:
    conditions = Conditions(LIMITS)
    down = later(FINE, 0, job_running=running)
    assert rules(conditions, down) == set()
    assert rules(conditions, later(down, 60, readings_end=11, summaries_end=6)) == set()
    assert rules(conditions, later(down, 61, readings_end=12, summaries_end=7)) == {"job-down"}
    assert rules(conditions, later(FINE, 62, readings_end=13, summaries_end=8)) == set()


def test_restart_is_an_alert_for_a_while() -> None:
    conditions = Conditions(LIMITS)
    conditions.judge(later(FINE, 0, restarts=3))
    assert rules(conditions, later(FINE, 10, restarts=4, readings_end=11)) == {"job-restarted"}
    assert rules(conditions, later(FINE, 50, restarts=None, readings_end=12)) == {"job-restarted"}
    assert rules(conditions, later(FINE, 311, restarts=4, readings_end=13, summaries_end=9)) == set()


def test_first_sight_of_restarts_is_no_restart() -> None:
    assert rules(Conditions(LIMITS), later(FINE, 0, restarts=7)) == set()


def test_dropped_late_records_are_an_alert() -> None:
    finding = Conditions(LIMITS).judge(later(FINE, 0, late_dropped=2))[0]
    assert (finding.rule_id, finding.score) == ("late-dropped", 2.0)


def test_kafka_out_of_sight_is_not_a_silent_bridge_at_once() -> None:
    conditions = Conditions(LIMITS)
    conditions.judge(FINE)
    assert rules(conditions, later(FINE, 50, readings_end=None, summaries_end=None)) == set()
