"""A seeded fleet of devices behind gateways, any of whose windows can be computed by itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.wire.series import Series, SeriesTable, series_table
from connectors.wire.topics import DAY_MS
from simulators.fleet.faults import FaultPlan, Placed, draw_faults
from simulators.fleet.quantities import quantity
from simulators.truth import Fault

Floats = NDArray[np.float64]
Times = NDArray[np.int64]

_WORLD, _FAULTS, _NOISE = 1, 2, 3
"""Streams of randomness under one seed: what the series are, what befalls them, and their noise."""


@dataclass(frozen=True)
class Gateway:
    """A gateway of the fleet: its series are the columns `[first, last)` of a block."""

    name: str
    first: int
    last: int
    table: SeriesTable


class Fleet:
    """Readings of `devices` devices with `series` quantities each.

    A reading is level + daily cycle + noise + fault, rounded to the sensor's step. The noises of a device's series are
    correlated (by `correlation` in absolute value, with alternating sign: warm air is dry). Every window has a counter
    of its own in the random stream, so the same window is the same however blocks are cut.

    Parameters
    ----------
    seed
        Fixes everything.
    readings_per_window
        Readings of each series in a window, evenly spaced from its start.
    windows
        Over which the faults are spread; blocks beyond are healthy.
    start_ms
        Event time of window 0, on the grid.
    cycle_sigma
        Largest amplitude of the daily cycle, in standard deviations of the noise; a series has 0.5 to 1 of it.
    faults
        None for a healthy fleet.

    Examples
    --------
    >>> fleet = Fleet(seed=7, devices=4, windows=10, start_ms=0)
    >>> fleet.block(2, 3).shape
    (3, 3, 8)
    >>> bool((fleet.block(2, 3)[1] == fleet.block(3, 1)[0]).all())
    True
    """

    def __init__(
        self,
        *,
        seed: int,
        devices: int,
        series: int = 2,
        readings_per_window: int = 3,
        window_ms: int = 900_000,
        windows: int,
        start_ms: int,
        devices_per_gateway: int = 20,
        cycle_sigma: float = 1.5,
        correlation: float = 0.4,
        faults: FaultPlan | None = None,
        gateway_prefix: str = "fleet",
    ) -> None:
        if devices < 1 or series < 1 or readings_per_window < 1 or devices_per_gateway < 1:
            msg = "a fleet has at least one device, series, reading a window and device a gateway"
            raise ValueError(msg)
        if not 0 <= correlation < 1:
            msg = f"correlation {correlation} is not in [0, 1)"
            raise ValueError(msg)
        self.seed = seed
        self.devices = devices
        self.series_per_device = series
        self.readings_per_window = readings_per_window
        self.window_ms = window_ms
        self.windows = windows
        self.start_ms = start_ms
        self._correlation = correlation
        self._draw_world(cycle_sigma)
        self.gateways = self._gateways(devices_per_gateway, gateway_prefix)
        drawn = draw_faults(_rng(seed, _FAULTS), devices, series, windows, faults) if faults else []
        self._placed = drawn
        self._first = np.array([fault.first for fault in drawn], dtype=np.int64)
        self._end = np.array([fault.end for fault in drawn], dtype=np.int64)

    def _draw_world(self, cycle_sigma: float) -> None:
        """Draw level, noise and cycle of each series; the devices of a fleet share a climate, each a little off."""
        rng = _rng(self.seed, _WORLD)
        self._quantities = [quantity(place) for place in range(self.series_per_device)]
        shape = (self.devices, self.series_per_device)
        base_low, base_high = np.array([q.base for q in self._quantities]).T
        sigma_low, sigma_high = np.array([q.sigma for q in self._quantities]).T
        self.base: Floats = rng.uniform(base_low, base_high, shape)
        self.sigma: Floats = rng.uniform(sigma_low, sigma_high, shape)
        amplitude = self.sigma * rng.uniform(0.5 * cycle_sigma, cycle_sigma, shape)
        phase = rng.normal(0.0, 0.3, shape) + np.pi * (np.arange(self.series_per_device) % 2)
        # a·sin(t - p) = a·cos(p)·sin(t) - a·sin(p)·cos(t): one sine a time instead of one a reading.
        self._sine: Floats = amplitude * np.cos(phase)
        self._cosine: Floats = -amplitude * np.sin(phase)
        self._steps: Floats = np.array([float(q.steps) for q in self._quantities])

    def _gateways(self, devices_per_gateway: int, prefix: str) -> list[Gateway]:
        gateways = []
        wide = self.series_per_device
        for number, first in enumerate(range(0, self.devices, devices_per_gateway), start=1):
            last = min(first + devices_per_gateway, self.devices)
            names = tuple(
                Series(self.device_name(device), q.name, q.unit)
                for device in range(first, last)
                for q in self._quantities
            )
            gateways.append(Gateway(f"{prefix}-{number:03d}", first * wide, last * wide, series_table(names)))
        self._devices_per_gateway = devices_per_gateway
        return gateways

    @staticmethod
    def device_name(device: int) -> str:
        """Return the name of a device.

        >>> Fleet.device_name(0)
        'device-0001'
        """
        return f"device-{device + 1:04d}"

    @property
    def columns(self) -> int:
        """Series of the whole fleet."""
        return self.devices * self.series_per_device

    @property
    def end_ms(self) -> int:
        """Event time of the end of the last window."""
        return self.start_ms + self.windows * self.window_ms

    @property
    def faults(self) -> list[Fault]:
        """The truth."""
        return [self._told(fault) for fault in self._placed]

    def _told(self, fault: Placed) -> Fault:
        return Fault(
            gateway=self.gateways[fault.device // self._devices_per_gateway].name,
            device=self.device_name(fault.device),
            quantity=self._quantities[fault.series].name,
            kind=fault.kind,
            start_ms=self.start_ms + fault.first * self.window_ms,
            end_ms=self.start_ms + fault.end * self.window_ms,
            magnitude=fault.magnitude,
        )

    def times(self, first_window: int, count: int) -> Times:
        """Return the readings' event times, ms, shape (count, readings_per_window)."""
        starts = self.start_ms + (first_window + np.arange(count, dtype=np.int64)) * self.window_ms
        steps = np.arange(self.readings_per_window, dtype=np.int64) * self.window_ms // self.readings_per_window
        return starts[:, None] + steps[None, :]

    def block(self, first_window: int, count: int) -> Floats:
        """Return readings of `count` windows, shape (count, readings_per_window, columns); NaN where none was made.

        Column `device * series + place`; each in its quantity's unit. Cost: about 50 ns a reading.
        """
        angle = 2 * np.pi * (self.times(first_window, count) % DAY_MS) / DAY_MS
        values = np.sin(angle)[:, :, None, None] * self._sine + np.cos(angle)[:, :, None, None] * self._cosine
        values += self.base
        for place in range(count):
            values[place] += self._noise(first_window + place)
        for which in self._affected(first_window, count):
            self._apply(self._placed[which], values, first_window, count)
        np.multiply(values, self._steps, out=values)
        np.rint(values, out=values)
        np.divide(values, self._steps, out=values)
        block: Floats = values.reshape(count, self.readings_per_window, self.columns)
        return block

    def _noise(self, window: int) -> Floats:
        """Return a window's noise, shape (readings, devices, series)."""
        rng = _rng(self.seed, _NOISE, window)
        shape = (self.readings_per_window, self.devices, self.series_per_device)
        noise = rng.standard_normal(shape)
        if self.series_per_device > 1:
            common = rng.standard_normal(shape[:2])[:, :, None]
            signs = np.where(np.arange(self.series_per_device) % 2, -1.0, 1.0)
            noise *= np.sqrt(1 - self._correlation)
            noise += common * (signs * np.sqrt(self._correlation))
        noise *= self.sigma
        return noise

    def _affected(self, first: int, count: int) -> NDArray[np.int64]:
        return np.flatnonzero((self._first < first + count) & (self._end > first))

    def _apply(self, fault: Placed, values: Floats, first: int, count: int) -> None:
        """Put a fault's windows into `values`, in place."""
        begin, end = max(fault.first, first), min(fault.end, first + count)
        where = (slice(begin - first, end - first), slice(None), fault.device, fault.series)
        sigma = self.sigma[fault.device, fault.series]
        if fault.kind == "dropout":
            values[where] = np.nan
        elif fault.kind == "stuck":
            # The converter froze at the fault's start; one level for all its windows, wherever the block begins.
            values[where] = self._stuck_level(fault)
        else:
            values[where] += sigma * fault.magnitude * self._shape(fault, begin, end)

    def _stuck_level(self, fault: Placed) -> float:
        at = 2 * np.pi * ((self.start_ms + fault.first * self.window_ms) % DAY_MS) / DAY_MS
        place = (fault.device, fault.series)
        level = self.base[place] + np.sin(at) * self._sine[place] + np.cos(at) * self._cosine[place]
        return float(level + fault.level * self.sigma[place])

    def _shape(self, fault: Placed, begin: int, end: int) -> Floats:
        """Return how much of the fault's strength each reading has, shape (end - begin, readings)."""
        size = (end - begin, self.readings_per_window)
        if fault.kind != "drift":
            return np.ones(size)
        steps = np.arange((begin - fault.first) * size[1], (end - fault.first) * size[1]) + 1.0
        grown: Floats = np.minimum(steps / (fault.ramp * size[1]), 1.0).reshape(size)
        return grown

    def describe(self) -> dict[str, Any]:
        """Return what the fleet is, for a report."""
        kinds: dict[str, int] = {}
        for fault in self._placed:
            kinds[fault.kind] = kinds.get(fault.kind, 0) + 1
        return {
            "seed": self.seed,
            "devices": self.devices,
            "gateways": len(self.gateways),
            "series": self.columns,
            "windows": self.windows,
            "faults": kinds,
        }


def _rng(seed: int, stream: int, window: int = 0) -> np.random.Generator:
    """Return the generator of one window of one stream; Philox is counter-based, so no window depends on another."""
    key = np.array([seed & 0xFFFFFFFFFFFFFFFF, stream], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=window << 128))
