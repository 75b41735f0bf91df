"""A fleet's windows don't depend on how they are asked for."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.fleet import FaultPlan, Fleet

WINDOWS = 420
FLEET = Fleet(seed=11, devices=10, windows=WINDOWS, start_ms=1_700_000_000_000, faults=FaultPlan.default(10))
WHOLE = FLEET.block(0, WINDOWS)


@settings(max_examples=100, deadline=None)
@given(first=st.integers(0, WINDOWS - 1), count=st.integers(1, 60))
def test_any_block_is_a_piece_of_the_whole(first: int, count: int) -> None:
    count = min(count, WINDOWS - first)
    np.testing.assert_array_equal(FLEET.block(first, count), WHOLE[first : first + count])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), devices=st.integers(2, 30), series=st.integers(1, 8))
def test_every_fleet_has_its_faults_where_the_truth_says(seed: int, devices: int, series: int) -> None:
    fleet = Fleet(seed=seed, devices=devices, series=series, windows=700, start_ms=0, faults=FaultPlan.default(devices))
    healthy = Fleet(seed=seed, devices=devices, series=series, windows=700, start_ms=0)
    affected = np.zeros((700, fleet.columns), dtype=bool)
    names = {
        (gateway.name, name.device, name.quantity): gateway.first + place
        for gateway in fleet.gateways
        for place, name in enumerate(gateway.table.series)
    }
    for fault in fleet.faults:
        first, end = fault.start_ms // fleet.window_ms, fault.end_ms // fleet.window_ms
        affected[first:end, names[fault.gateway, fault.device, fault.quantity]] = True
    differs = ~np.isclose(fleet.block(0, 700), healthy.block(0, 700), rtol=0, atol=1e-9).all(axis=1)
    assert not (differs & ~affected).any()
    assert len({fault.device for fault in fleet.faults}) <= max(1, devices // 2)
