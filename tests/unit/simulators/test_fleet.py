"""Signals and faults of a simulated fleet."""

import json
import time
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from simulators.fleet import FaultPlan, Fleet
from simulators.fleet.quantities import QUANTITIES
from simulators.truth import FAULT_KINDS

WINDOW_MS = 900_000
# From SenML's registry (RFC 8428, section 12.1).
SENML = {"m", "kg", "s", "A", "K", "cd", "Hz", "N", "Pa", "J", "W", "V", "Cel", "lm", "lx", "m/s2", "%RH", "dB", "%"}


def fleet(**changes: object) -> Fleet:
    options: dict[str, object] = {"seed": 3, "devices": 200, "windows": 7_392, "start_ms": 0}
    return Fleet(**{**options, **changes})  # type: ignore[arg-type]


def faulty(seed: int = 3, devices: int = 200, windows: int = 7_392) -> Fleet:
    return fleet(seed=seed, devices=devices, windows=windows, faults=FaultPlan.default(devices))


def test_the_same_seed_makes_the_same_fleet() -> None:
    one, two = faulty(), faulty()
    assert one.faults == two.faults
    np.testing.assert_array_equal(one.block(500, 3), two.block(500, 3))


def test_another_seed_makes_another_fleet() -> None:
    assert faulty(3).faults != faulty(4).faults
    assert not np.array_equal(fleet(seed=3).block(0, 1), fleet(seed=4).block(0, 1))


def test_windows_have_noise_of_their_own() -> None:
    block = fleet(devices=4, cycle_sigma=0.0).block(0, 50).reshape(50, -1)
    assert len({row.tobytes() for row in block}) == 50


def test_noise_and_cycle_are_as_strong_as_they_say() -> None:
    made = fleet(devices=100, cycle_sigma=0.0)
    values = made.block(0, 300).reshape(-1, 100, 2)
    spread = values.std(axis=0) / made.sigma
    assert 0.97 < spread.mean() < 1.03
    cyclic = fleet(devices=100, cycle_sigma=1.5)
    means = cyclic.block(0, 96 * 8).reshape(8, 96, 3, 100, 2).mean(axis=(0, 2)) - cyclic.base
    amplitude = np.abs(means).max(axis=0) / cyclic.sigma
    # Noise of 24 readings' mean lifts the largest of 96 a little beyond the cycle's own amplitude.
    assert amplitude.max() < 1.5 + 5 / np.sqrt(24)
    assert np.median(amplitude) > 0.75


def test_series_of_a_device_are_correlated_and_of_others_not() -> None:
    values = fleet(devices=50, cycle_sigma=0.0, correlation=0.5).block(0, 400).reshape(-1, 50, 2)
    own = [np.corrcoef(values[:, d, 0], values[:, d, 1])[0, 1] for d in range(50)]
    foreign = [np.corrcoef(values[:, d, 0], values[:, d - 1, 0])[0, 1] for d in range(50)]
    assert -0.55 < np.mean(own) < -0.45
    assert abs(np.mean(foreign)) < 0.03


def test_values_lie_on_the_sensors_steps() -> None:
    block = fleet(devices=5).block(0, 4)
    np.testing.assert_array_equal(np.round(block, 1), block)


def test_units_are_of_the_registry() -> None:
    assert {quantity.unit for quantity in QUANTITIES} <= SENML


def test_times_lie_inside_their_windows() -> None:
    times = fleet(start_ms=1_000 * WINDOW_MS).times(5, 4)
    assert times.shape == (4, 3)
    np.testing.assert_array_equal(times // WINDOW_MS, np.arange(1_005, 1_009)[:, None] + np.zeros((1, 3)))


def test_gateways_share_the_columns_out() -> None:
    made = fleet(devices=45, devices_per_gateway=20)
    assert [(gateway.first, gateway.last) for gateway in made.gateways] == [(0, 40), (40, 80), (80, 90)]
    assert [len(gateway.table.series) for gateway in made.gateways] == [40, 40, 10]


@pytest.mark.parametrize("seed", range(20))
def test_the_plan_is_as_faults_are_counted(seed: int) -> None:
    made = faulty(seed)
    faults = made.faults
    assert Counter(fault.kind for fault in faults) == dict.fromkeys(FAULT_KINDS, 40)
    assert len({fault.device for fault in faults}) <= 100
    assert min(fault.start_ms for fault in faults) >= 160 * WINDOW_MS
    assert max(fault.end_ms for fault in faults) <= made.end_ms - 2 * WINDOW_MS
    for fault in faults:
        length = (fault.end_ms - fault.start_ms) // WINDOW_MS
        strong = 5 <= abs(fault.magnitude) <= 12
        assert strong is (fault.kind in {"spike", "shift", "drift"})
        assert length == 1 if fault.kind == "spike" else length >= 6
    by_device = defaultdict(list)
    for fault in faults:
        by_device[fault.device].append(fault)
    for own in by_device.values():
        ordered = sorted(own, key=lambda fault: fault.start_ms)
        gaps = [b.start_ms - a.end_ms for a, b in pairwise(ordered)]
        assert all(gap >= 96 * WINDOW_MS for gap in gaps)


def test_strength_is_log_uniform() -> None:
    strengths = [abs(f.magnitude) for seed in range(20) for f in faulty(seed).faults if f.magnitude]
    share = np.log(np.array(strengths) / 5) / np.log(12 / 5)
    assert abs(np.quantile(share, 0.25) - 0.25) < 0.04
    assert abs(np.median(share) - 0.5) < 0.04


def test_each_fault_shows_in_the_readings_and_is_over_after_its_end() -> None:
    made = faulty()
    healthy = fleet()
    columns = {
        (gateway.name, series.device, series.quantity): gateway.first + place
        for gateway in made.gateways
        for place, series in enumerate(gateway.table.series)
    }
    for fault in made.faults:
        column = columns[fault.gateway, fault.device, fault.quantity]
        first, end = fault.start_ms // WINDOW_MS, fault.end_ms // WINDOW_MS
        seen = made.block(first - 1, end - first + 2)[:, :, column]
        normal = healthy.block(first - 1, end - first + 2)[:, :, column]
        np.testing.assert_array_equal(seen[[0, -1]], normal[[0, -1]])
        inside = seen[1:-1]
        if fault.kind == "dropout":
            assert np.isnan(inside).all()
        elif fault.kind == "stuck":
            assert np.unique(inside).size == 1
        else:
            device, place = divmod(column, 2)
            moved = (inside - normal[1:-1]) / made.sigma[device, place] / fault.magnitude
            np.testing.assert_allclose(moved[12:] if fault.kind == "drift" else moved, 1.0, atol=0.06)
            if fault.kind == "drift":
                assert moved[0, 0] < 0.12
                assert (np.diff(moved.ravel()) > -0.1).all()


def test_a_plan_that_does_not_fit_says_so() -> None:
    with pytest.raises(ValueError, match=r"need .* windows .* not 200"):
        faulty(devices=20, windows=200)


def test_one_device_can_not_be_half_healthy() -> None:
    with pytest.raises(ValueError, match="at least half"):
        faulty(devices=1)


def test_a_report_of_the_fleet_is_json() -> None:
    assert json.loads(json.dumps(faulty().describe()))["faults"]["drift"] == 40


@pytest.mark.parametrize("wrong", [{"devices": 0}, {"series": 0}, {"correlation": 1.0}])
def test_what_can_not_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        fleet(**wrong)


@pytest.mark.long
def test_it_makes_three_million_readings_a_second_of_its_own_time() -> None:
    made = faulty()
    begun = time.thread_time()
    readings = sum(made.block(first, 96).size for first in range(0, 96 * 30, 96))
    assert readings / (time.thread_time() - begun) > 3_000_000
