"""Joining truth and alerts."""

from pathlib import Path

import pytest

from connectors.wire.alert import AlertEvent, Transition, alert_id, event_id
from simulators.truth import Fault, FaultKind, TruthError, read_truth, score_fleet, score_labels, write_truth

W = 1_000
KEY = ("gw-1", "press-1", "temperature")


def fault(start: int = 10, end: int = 20, kind: FaultKind = "shift", device: str = "press-1") -> Fault:
    return Fault(
        gateway="gw-1",
        device=device,
        quantity="temperature",
        kind=kind,
        start_ms=start * W,
        end_ms=end * W,
        magnitude=6.0,
    )


def event(
    window: int, *, device: str = "press-1", gateway: str = "gw-1", rule: str = "level", quantity: str = "temperature",
    transition: Transition = "raised", began: int | None = None,
) -> AlertEvent:  # fmt: skip
    start = began if began is not None else window
    alert = alert_id(gateway, device, quantity, rule, start * W)
    return AlertEvent(
        event_id=event_id(alert, transition, (window + 1) * W),
        alert_id=alert,
        transition=transition,
        severity="medium",
        gateway=gateway,
        device=device,
        quantity=quantity,
        rule_id=rule,
        detector="ewma",
        raised_ms=start * W,
        window_start_ms=window * W,
        window_end_ms=(window + 1) * W,
    )


@pytest.mark.parametrize(("window", "hit"), [(9, False), (10, True), (19, True), (20, True), (21, True), (22, False)])
def test_a_hit_lies_between_the_start_and_two_windows_after_the_end(window: int, hit: bool) -> None:
    score = score_fleet([fault()], [event(window)], {"gw-1"}, W)
    assert (score.hits, len(score.false_alerts)) == ((1, 0) if hit else (0, 1))
    assert score.recall == (1.0 if hit else 0.0)
    assert score.precision == (1.0 if hit else 0.0)


def test_further_alerts_of_a_hit_count_as_neither() -> None:
    score = score_fleet([fault()], [event(10), event(12, rule="drift"), event(21, rule="spike")], {"gw-1"}, W)
    assert (score.hits, score.false_alerts, score.precision) == (1, [], 1.0)
    assert score.delay_windows == [0]


def test_an_alert_on_another_series_is_false() -> None:
    others = [event(10, device="press-2"), event(10, quantity="humidity"), event(10, device="", quantity="")]
    score = score_fleet([fault()], others, {"gw-1"}, W)
    assert (score.hits, len(score.false_alerts)) == (0, 3)
    assert score.missed == [fault()]


def test_system_alerts_and_other_gateways_are_no_part_of_it() -> None:
    score = score_fleet([], [event(5, gateway="", device="", quantity=""), event(5, gateway="gw-9")], {"gw-1"}, W)
    assert (score.precision, score.recall, score.false_alerts) == (1.0, 1.0, [])


def test_only_what_was_raised_counts_and_once() -> None:
    events = [
        event(10),
        event(10),
        event(11, transition="escalated", began=10),
        event(15, transition="cleared", began=10),
    ]
    score = score_fleet([fault()], events, {"gw-1"}, W)
    assert (score.hits, score.false_alerts) == (1, [])


def test_recall_is_told_for_each_kind() -> None:
    faults = [fault(), fault(40, 50, "drift"), fault(70, 71, "spike"), fault(70, 71, "spike", device="press-2")]
    score = score_fleet(faults, [event(45), event(70)], {"gw-1"}, W)
    assert score.recall_by_fault == {"spike": 0.5, "shift": 0.0, "drift": 1.0}
    assert score.recall == 0.5
    assert score.delay_windows == [5, 0]


def test_labelled_windows_found_and_alerts_outside() -> None:
    labels = [(10 * W, 20 * W), (50 * W, 60 * W), (90 * W, 95 * W)]
    events = [
        event(9), event(30), event(12, rule="drift"), event(60), event(61),
        event(14, transition="cleared", began=12, rule="drift"),
        *(event(40, transition="cleared", began=at) for at in (9, 30)),
    ]  # fmt: skip
    score = score_labels(labels, events, KEY, W, end_ms=100 * W)
    # The window 9 ends where the first label begins, so it lies outside; 60 touches the second label's last moment.
    assert (score.windows_total, score.windows_found) == (3, 2)
    assert (score.raised_inside, score.raised_outside) == (2, 3)
    assert score.longest_active_ms == 40 * W


def test_a_series_without_alerts_scores_nothing() -> None:
    score = score_labels([(0, W)], [event(0, device="other")], KEY, W, end_ms=W)
    assert (score.windows_found, score.raised_outside, score.longest_active_ms) == (0, 0, 0)


def test_a_truth_file_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "truth.jsonl"
    faults = [fault(), fault(40, 50, "stuck")]
    write_truth(path, faults)
    assert read_truth(path) == faults


def test_a_bad_truth_file_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    write_truth(path, [fault()])
    path.write_bytes(path.read_bytes() + b'{"kind": "flood"}\n')
    with pytest.raises(TruthError, match=r"truth\.jsonl:2: "):
        read_truth(path)
    with pytest.raises(TruthError, match="No such file"):
        read_truth(tmp_path / "none.jsonl")
