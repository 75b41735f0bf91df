"""One active alert a rule, the same one after a restart of the monitor."""

from connectors.monitor.conditions import Finding
from connectors.monitor.standing import Standing

SILENT = Finding("bridge-silent", "Nothing for 91 s.", 91.0, 90.0)
DOWN = Finding("job-down", "For 61 s no job of ours is running.", 61.0, 60.0)


def test_finding_is_raised_once_and_cleared_once() -> None:
    standing = Standing()
    raised = standing.update([SILENT], 1_000)
    assert [(event.rule_id, event.transition, event.severity) for event in raised] == [
        ("bridge-silent", "raised", "critical")
    ]
    assert standing.update([SILENT], 2_000) == []
    cleared = standing.update([], 3_000)
    assert [(event.transition, event.alert_id) for event in cleared] == [("cleared", raised[0].alert_id)]
    assert standing.update([], 4_000) == []


def test_findings_are_independent() -> None:
    standing = Standing()
    standing.update([SILENT], 1_000)
    both = standing.update([DOWN], 2_000)
    assert {(event.rule_id, event.transition) for event in both} == {
        ("job-down", "raised"),
        ("bridge-silent", "cleared"),
    }


def test_alert_survives_a_restart_of_the_monitor() -> None:
    log = Standing().update([SILENT], 1_000)
    again = Standing(log)
    assert again.update([SILENT], 2_000) == []
    cleared = again.update([], 3_000)
    assert cleared[0].alert_id == log[0].alert_id
    assert cleared[0].raised_ms == 1_000


def test_event_ids_differ_by_transition_and_time() -> None:
    standing = Standing()
    events = (
        standing.update([SILENT], 1) + standing.update([], 2) + standing.update([SILENT], 3) + standing.update([], 4)
    )
    assert len({event.event_id for event in events}) == 4
    assert len({event.alert_id for event in events}) == 2
