"""The example that `your_own_data` begins with."""

from pathlib import Path

import numpy as np

from notebooks.example import GAP, STUCK, oven, write_example
from simulators.replay import read_recording


def test_it_is_a_recording_that_replay_takes(tmp_path: Path) -> None:
    recording = read_recording(write_example(tmp_path / "made" / "oven.csv"))
    assert recording.columns == ("temperature",)
    assert recording.readings == oven().size - GAP[1] == 2_850
    assert np.diff(recording.times).max() == (GAP[1] + 1) * 300_000


def test_it_is_the_same_each_time_and_its_faults_are_in_it() -> None:
    values = oven()
    np.testing.assert_array_equal(values, oven())
    assert np.ptp(values[STUCK[0] : STUCK[0] + STUCK[1]]) == 0
    assert np.isnan(values).sum() == GAP[1]
    assert values[:288].std() < 3 < np.nanmean(values[-50:]) - 180
