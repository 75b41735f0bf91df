"""A recording for `your_own_data` to run on until you name yours: an oven over ten days, with four things wrong."""

from datetime import UTC, datetime, timedelta
from math import isnan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
STEP = timedelta(minutes=5)
ROWS_A_DAY = 288
DAYS = 10

SURGE = (3 * ROWS_A_DAY + 150, 12)
"""First row and number of rows: an hour far too hot."""
STUCK = (5 * ROWS_A_DAY + 40, 48)
"""Four hours without the least change: the sensor hangs."""
GAP = (6 * ROWS_A_DAY + 100, 30)
"""Two and a half hours without readings."""
DRIFT = (8 * ROWS_A_DAY, 2 * ROWS_A_DAY)
"""Two days in which the oven grows slowly warmer."""


def oven(seed: int = 1) -> NDArray[np.float64]:
    """Return temperatures in °C, shape `(rows,)`; NaN where there is no reading."""
    rows = DAYS * ROWS_A_DAY
    noise = np.random.default_rng(seed).normal(0.0, 0.6, rows)
    values: NDArray[np.float64] = 180.0 + 2.0 * np.sin(np.arange(rows) * 2 * np.pi / ROWS_A_DAY) + noise
    values[_rows(SURGE)] += 25.0
    values[_rows(STUCK)] = values[STUCK[0]]
    values[_rows(GAP)] = np.nan
    values[_rows(DRIFT)] += np.linspace(0.0, 14.0, DRIFT[1])
    return values


def _rows(fault: tuple[int, int]) -> slice:
    first, count = fault
    return slice(first, first + count)


def write_example(path: Path) -> Path:
    """Write the recording as CSV, and return its path."""
    lines = [
        f"{BEGIN + row * STEP:%Y-%m-%d %H:%M:%S},{value:.2f}"
        for row, value in enumerate(oven().tolist())
        if not isnan(value)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("time,temperature\n" + "\n".join(lines) + "\n")
    return path
