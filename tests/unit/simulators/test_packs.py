"""Cutting a fleet's readings into packs."""

import numpy as np
import pytest

from simulators.device.draft import encode
from simulators.fleet import FaultPlan, Fleet
from simulators.fleet.packs import CELL_READINGS, Dated, cell_packs, stream_packs
from simulators.fleet.rate import pace

WINDOW_MS = 10_000
Key = tuple[int, int, int]


def fleet(devices: int = 10, windows: int = 400, faults: bool = True, readings: int = 3) -> Fleet:
    return Fleet(
        seed=5,
        devices=devices,
        windows=windows,
        start_ms=1_700_000_000_000,
        window_ms=WINDOW_MS,
        devices_per_gateway=4,
        readings_per_window=readings,
        faults=FaultPlan.default(devices) if faults else None,
    )


def readings(packs: list[Dated]) -> dict[Key, float]:
    found: dict[Key, float] = {}
    for dated in packs:
        draft = dated.draft
        for offset, series, value in zip(draft.offsets_ms, draft.series, draft.values, strict=True):
            key = (dated.gateway, int(draft.base_ms + (offset or 0)), series)
            assert key not in found
            assert value is not None
            found[key] = value
    return found


def test_cells_hold_every_reading_that_was_made_once() -> None:
    made = fleet()
    found = readings(list(cell_packs(made)))
    block, times = made.block(0, made.windows), made.times(0, made.windows)
    assert len(found) == np.count_nonzero(~np.isnan(block))
    for place, gateway in enumerate(made.gateways):
        window, reading = 170, 1
        for series in range(gateway.last - gateway.first):
            value = block[window, reading, gateway.first + series]
            assert found.get((place, int(times[window, reading]), series), np.nan) == pytest.approx(value, nan_ok=True)


def test_a_cell_is_due_at_its_end_and_lies_within_it() -> None:
    for dated in cell_packs(fleet(windows=20, faults=False)):
        assert dated.due_ms % WINDOW_MS == 0
        assert dated.due_ms - WINDOW_MS <= dated.draft.base_ms
        assert dated.draft.base_ms + (dated.draft.offsets_ms[-1] or 0) < dated.due_ms


@pytest.mark.parametrize("pack", [1, 7, 100])
def test_streams_hold_the_same_values_in_any_packing(pack: int) -> None:
    made = fleet(windows=330)
    packs = list(stream_packs(made, pack))
    assert sorted(readings(packs).values()) == sorted(readings(list(cell_packs(made))).values())
    assert max(len(dated.draft.values) for dated in packs) <= pack


def test_streams_are_due_when_their_last_reading_is_made_and_in_order() -> None:
    packs = list(stream_packs(fleet(windows=50, faults=False), 5))
    assert [dated.due_ms for dated in packs] == sorted(dated.due_ms for dated in packs)
    for dated in packs:
        assert dated.due_ms == dated.draft.base_ms + (dated.draft.offsets_ms[-1] or 0)


def test_readings_of_a_stream_stay_in_their_window() -> None:
    made = fleet(windows=6, faults=False)
    for dated in stream_packs(made, 1):
        assert made.start_ms <= dated.due_ms < made.end_ms


def test_the_largest_cell_fits_a_pack() -> None:
    big = Fleet(seed=1, devices=2_000, windows=1, start_ms=1_700_000_000_000, devices_per_gateway=2_000)
    packs = list(cell_packs(big))
    assert len(packs) == -(-12_000 // CELL_READINGS)
    assert max(len(encode(dated.draft, "f" * 16, 2**40, "msgpack", 60_000)) for dated in packs) <= 60_000


def test_a_rate_is_met_as_nearly_as_whole_readings_allow() -> None:
    assert pace(400, 1200, 60, 10_000).readings_per_window == 30
    slow = pace(400, 1, 3_600, 10_000)
    assert (slow.readings_per_window, slow.window_ms, slow.windows) == (1, 400_000, 9)
    assert pace(1, 0.001, 1, 10_000).windows == 1
