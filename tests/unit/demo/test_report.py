"""The report: its fields, how alerts are counted, and when a run must not end with success."""

import json

import pytest

from connectors.wire.alert import AlertEvent
from deploy.books.accounts import Violation
from deploy.books.close import Books
from deploy.demo.plan import GRID_MS, make_plan, replayed_labels
from deploy.demo.plot import draw, shown_alerts
from deploy.demo.recordings import MACHINE
from deploy.demo.report import Measured, failures, find, make_report, percentile, targets
from simulators.truth import Fault

PLAN = make_plan(1_790_000_000_000, seed=1)
REQUIRED = """sent received judged dead late duplicates_dropped lost alerts_raised alert_duplicates influx_alerts
    notifications_delivered ids_equal recall recall_by_fault precision machine latency_ms peak_pss_mib""".split()


def event(transition, start_ms, raised_ms=None, where=MACHINE.key, rule="score", value=80.0):
    raised_ms = start_ms if raised_ms is None else raised_ms
    gateway, device, quantity = where
    return AlertEvent(
        event_id=f"{transition}-{where}-{rule}-{start_ms}",
        alert_id=f"{where}-{rule}-{raised_ms}",
        transition=transition,
        severity="medium",
        gateway=gateway,
        device=device,
        quantity=quantity,
        rule_id=rule,
        detector=rule,
        raised_ms=raised_ms,
        window_start_ms=start_ms,
        window_end_ms=start_ms + GRID_MS,
        value=value,
    )


def fault(kind="spike", start=200):
    start_ms = PLAN.start_ms + start * GRID_MS
    return Fault(
        gateway="fleet-001",
        device="device-0001",
        quantity="temperature",
        kind=kind,
        start_ms=start_ms,
        end_ms=start_ms + GRID_MS,
    )


def books(**changes):
    sound = {
        "sent": 10, "received": 10, "judged": 10, "late": 0, "not_judged": 0, "dead": 0, "dead_unidentified": 0,
        "duplicates": 0, "in_outboxes": 0, "lost": 0, "heartbeats": 3, "alert_events": 2, "alert_duplicates": 0,
        "influx_alerts": 2, "webhook_alerts": 2, "ids_equal": True, "violations": (),
    }  # fmt: skip
    return Books(**(sound | changes))


def measured():
    return Measured(
        seconds=300.0,
        first_acknowledged_s=14.0,
        first_judged_s=25.0,
        latencies_ms=[500.0, 900.0],
        peak_pss_mib=2500.0,
        at_peak_mib={"kafka": 400.0},
        notifications_delivered=2,
    )


@pytest.fixture
def machine_events():
    """One alert in each of the first three labelled windows, two outside, the first active for ten hours."""
    inside = [first // GRID_MS * GRID_MS + GRID_MS for first, _ in replayed_labels(MACHINE, PLAN)[:3]]
    outside = [PLAN.start_ms + 300 * GRID_MS, PLAN.end_ms - 8 * GRID_MS]
    cleared = [event("cleared", at + 39 * GRID_MS, at) for at in (*inside, outside[0])]
    return [event("raised", at) for at in (*inside, *outside)] + cleared


def test_the_machine_is_counted_by_its_labelled_windows(machine_events):
    score = find(PLAN, [], machine_events).machine
    assert (score.windows_total, score.windows_found) == (4, 3)
    assert (score.raised_inside, score.raised_outside) == (3, 2)
    assert score.longest_active_ms == 40 * GRID_MS


def test_the_report_has_every_field(machine_events):
    hit = fault()
    events = [*machine_events, event("raised", hit.start_ms, where=("fleet-001", "device-0001", "temperature"))]
    findings = find(PLAN, [hit, fault("drift", 500)], events)
    report = json.loads(json.dumps(make_report(PLAN, books(), findings, events, measured())))
    assert set(REQUIRED) <= set(report)
    assert {"windows_total", "windows_found", "raised_outside"} <= set(report["machine"])
    assert (report["latency_ms"]["p50"], report["latency_ms"]["p99"]) == (500.0, 900.0)
    assert (report["recall"], report["recall_by_fault"]) == (0.5, {"spike": 1.0, "drift": 0.0})
    assert (report["precision"], report["alerts_raised"]) == (1.0, 6)
    assert set(report["recordings"]) == {"office", "database"}
    assert report["failures"] == []


def test_an_alert_on_any_healthy_series_of_the_fleet_is_false():
    events = [event("raised", PLAN.start_ms, where=("fleet-009", "device-0170", "humidity"))]
    assert len(find(PLAN, [fault()], events).fleet.false_alerts) == 1


def test_a_system_alert_is_none_of_the_fleets():
    findings = find(PLAN, [], [event("raised", PLAN.start_ms, where=("", "", ""), rule="no-bridge")])
    assert findings.fleet.false_alerts == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"violations": (Violation("lost", 3, "readings of gw"),), "lost": 3}, "lost: 3"),
        ({"violations": (Violation("ids-differ", 1, "InfluxDB lacks 1"),), "ids_equal": False}, "ids-differ"),
        ({"sent": 0}, "nothing was sent"),
        ({"in_outboxes": 5}, "outboxes"),
        ({"dead_unidentified": 1}, "dead letters"),
    ],
)
def test_whatever_is_lost_is_named(machine_events, changes, words):
    findings = find(PLAN, [], machine_events)
    assert failures(books(), findings) == []
    assert words in " ".join(failures(books(**changes), findings))


def test_finding_nothing_is_a_failure(machine_events):
    assert "none of the simulated faults" in " ".join(failures(books(), find(PLAN, [fault()], machine_events)))
    assert "labelled window of the machine" in " ".join(failures(books(), find(PLAN, [], [])))


def test_targets_name_what_was_missed(machine_events):
    report = make_report(PLAN, books(late=4), find(PLAN, [fault()], machine_events), machine_events, measured())
    missed = [target.words for target in targets(report) if not target.met]
    assert any("recall 0.000" in words for words in missed)
    assert any("late readings 4" in words for words in missed)
    assert not any("memory" in words or "machine" in words for words in missed)


def test_percentiles():
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (50.0, 99.0, 100.0)


def test_the_picture_shows_each_alert(machine_events, tmp_path):
    shown = shown_alerts(MACHINE, PLAN, machine_events)
    assert [alert.inside for alert in shown].count(True) == 3
    assert shown[-1].end_ms == PLAN.end_ms
    draw(MACHINE, PLAN, machine_events, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"


def test_a_picture_without_alerts(tmp_path):
    draw(MACHINE, PLAN, [], tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
