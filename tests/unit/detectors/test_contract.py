"""Every detector against every check of the contract in `jobs.detectors.base`."""

from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, fields, replace
from functools import cache

import numpy as np
import pytest

from jobs.detectors import DETECTORS, Detector, Features, State
from jobs.detectors.base import BOUND, WINDOWS, restored
from jobs.windows.dump import pack, unpack

SERIES = 6
WINDOWS_RUN = 150
STEADY, STEPS, FROZEN, GAPPY, GONE, HUGE = range(SERIES)

UNBOUNDED = {"limits": "its score is a value in the series' own unit"}


def readings(seed: int = 1, windows: int = WINDOWS_RUN) -> list[np.ndarray]:
    """Six series of three readings a window: steady noise, a step, a frozen value, gaps, an end, and huge numbers."""
    rng = np.random.default_rng(seed)
    values = 20.0 + rng.standard_normal((windows, 3, SERIES))
    values[120:, :, STEPS] += 40.0
    values[120:, :, FROZEN] = 20.5
    values[::7, :, GAPPY] = np.nan
    values[3::11, 1, GAPPY] = np.nan
    values[120:, :, GONE] = np.nan
    values[:, :, HUGE] *= 1e200
    values[130, :, HUGE] = -1e300
    return list(values)


@cache
def windows_of(axis: str, seed: int) -> list[Features]:
    with np.errstate(over="ignore"):
        rows = [Features.of_readings(one) for one in readings(seed)]
    return rows if axis == "series" else [Features.of_gateways(one.count, one.observed) for one in rows]


def windows_for(detector: Detector, seed: int = 1) -> list[Features]:
    return windows_of(detector.axis, seed)


def run(detector: Detector, windows: list[Features]) -> Iterator[tuple[State, np.ndarray]]:
    state = detector.initial(SERIES)
    for features in windows:
        state, score, _ = detector.step(state, features)
        yield state, score


def frozen_copy(features: Features) -> Features:
    copies = {}
    for one in fields(features):
        value = getattr(features, one.name)
        if isinstance(value, np.ndarray):
            value = value.copy()
            value.setflags(write=False)
        copies[one.name] = value
    return Features(**copies)


def inputs_are_unchanged(detector: Detector) -> None:
    state = detector.initial(SERIES)
    for features in map(frozen_copy, windows_for(detector)):
        for array in state.values():
            array.setflags(write=False)
        before = {name: array.copy() for name, array in state.items()}
        after = detector.step(state, features).state
        for name, array in before.items():
            np.testing.assert_array_equal(state[name], array)
        state = after


def is_causal(detector: Detector) -> None:
    """What comes later changes nothing: two histories that part at window 100 have the same scores before."""
    one, other = (
        windows_for(detector, seed=1),
        windows_for(detector, seed=1)[:100] + windows_for(detector, seed=2)[100:],
    )
    for (_, score), (_, same) in list(zip(run(detector, one), run(detector, other), strict=True))[:100]:
        np.testing.assert_array_equal(score, same)


def is_local(detector: Detector) -> None:
    """A series' score depends on its own readings alone: in reverse order of rows, the scores are reversed."""
    windows = windows_for(detector)
    arrays = [one.name for one in fields(Features) if one.name != "observed"]
    turned = [replace(one, **{name: getattr(one, name)[::-1] for name in arrays}) for one in windows]
    for (_, score), (_, reversed_score) in zip(run(detector, windows), run(detector, turned), strict=True):
        np.testing.assert_array_equal(score, reversed_score[::-1])


def is_bounded(detector: Detector) -> None:
    windows = windows_for(detector)
    with np.errstate(all="raise", under="ignore"):
        for state, score in run(detector, windows):
            assert score.shape == (SERIES,) and score.dtype == np.float64
            known = score[~np.isnan(score)]
            assert np.isfinite(known).all()
            assert detector.name in UNBOUNDED or (np.abs(known) <= BOUND).all()
            assert all(array.shape == (SERIES,) for array in state.values())


def bears_gaps(detector: Detector) -> None:
    """Windows without any reading leave nothing behind but silence: no exception, and scores afterwards."""
    nothing = Features.of_readings(np.full((3, SERIES), np.nan))
    if detector.axis == "gateway":
        nothing = Features.of_gateways(nothing.count, observed=True)
    state = detector.initial(SERIES)
    for features in [nothing] * 3 + windows_for(detector)[:119] + [nothing] * 5 + windows_for(detector)[:5]:
        state, score, _ = detector.step(state, features)
    assert np.isfinite(score[STEADY])


def warm_up_is_silent(detector: Detector) -> None:
    slow = replace(detector, warm_up=40)
    for number, (state, score) in enumerate(run(slow, windows_for(slow)[:40])):
        assert np.isnan(score).all(), f"window {number}"
        assert (slow.learning(state) > 0).all() or number >= 39
    assert (slow.learning(slow.initial(SERIES)) == 40).all()


def is_deterministic(detector: Detector) -> None:
    twin = type(detector)(**{one.name: getattr(detector, one.name) for one in fields(detector)})
    for (state, score), (other, same) in zip(
        run(detector, windows_for(detector)), run(twin, windows_for(twin)), strict=True
    ):
        assert score.tobytes() == same.tobytes()
        assert {name: array.tobytes() for name, array in state.items()} == {
            name: array.tobytes() for name, array in other.items()
        }


def state_survives_bytes(detector: Detector) -> None:
    """A state that went through bytes in any window goes on bit for bit, and has the fields that it declares."""
    state = detector.initial(SERIES)
    declared = {one.name: np.dtype(one.dtype) for one in detector.fields}
    for features in windows_for(detector):
        state = detector.step(state, features).state
        assert {name: array.dtype for name, array in state.items()} == declared
        again = restored(detector, unpack(pack({}, state))[1], SERIES)
        assert {name: array.tobytes() for name, array in again.items()} == {
            name: array.tobytes() for name, array in state.items()
        }
        state = again


def older_state_is_taken(detector: Detector) -> None:
    """A field that is gone is dropped and one that is new starts afresh: changed code restores an older state."""
    state, _ = list(run(detector, windows_for(detector)))[-1]
    older = {name: array for name, array in state.items() if name != detector.fields[0].name}
    older["forgotten"] = np.zeros(SERIES)
    taken = restored(detector, older, SERIES)
    assert set(taken) == {one.name for one in detector.fields}
    np.testing.assert_array_equal(taken[detector.fields[0].name], detector.initial(SERIES)[detector.fields[0].name])
    detector.step(taken, windows_for(detector)[0])


def score_points_one_way(detector: Detector) -> None:
    """What the detector is there for scores beyond what it saw before, to the side that `sign` says."""
    row = {"stuck": FROZEN, "missing": GONE, "silence": GONE}.get(detector.name, STEPS)
    scores = np.array([score for _, score in run(detector, windows_for(detector))])[:, row]
    calm, disturbed = np.nanmax(scores[:120] * detector.sign), np.nanmax(scores[120:] * detector.sign)
    assert disturbed > calm


def evidence_is_told(detector: Detector) -> None:
    state, _ = list(run(detector, windows_for(detector)[:119]))[-1]
    judgement = detector.step(state, windows_for(detector)[119])
    text = detector.describe({name: float(array[STEADY]) for name, array in judgement.evidence.items()})
    assert text and "{" not in text


def spec_is_frozen_and_sourced(detector: Detector) -> None:
    with pytest.raises(FrozenInstanceError):
        detector.warm_up = 3  # type: ignore[misc]
    text = type(detector).__doc__ or ""
    for word in ("Cost:", "State:", "References", "Examples", ">>>"):
        assert word in text, word
    assert detector.fields[-1].name == WINDOWS


def nonsense_is_refused(detector: Detector) -> None:
    with pytest.raises(ValueError, match="warm_up"):
        replace(detector, warm_up=-1)


def one_absurd_reading_is_survived(detector: Detector) -> None:
    """A finite but absurd reading, early or late, leaves no state that isn't a number, and scores come back to calm."""
    if detector.axis == "gateway":
        pytest.skip("gateways have no values")
    rows = readings()
    rows[10], rows[115] = np.full((3, SERIES), 1e300), np.full((3, SERIES), -1.7e308)
    calm = 20.0 + np.random.default_rng(5).standard_normal((400, 3, SERIES))
    with np.errstate(over="ignore", invalid="ignore"):
        windows = [Features.of_readings(one) for one in [*rows[:120], *calm]]
    for state, _ in run(detector, windows):
        assert all(np.isfinite(array).all() or name in {"level", "last"} for name, array in state.items())
    state = list(run(detector, windows))[-1][0]
    assert all(np.isfinite(array[STEADY]) for array in state.values())


def a_value_that_never_moved_may_move(detector: Detector) -> None:
    """A series that stood still from its start has no scale; once it moves it gets one, and isn't absurd for ever."""
    if detector.name not in {"score", "drift"}:
        pytest.skip("has no scale")
    rng = np.random.default_rng(3)
    rows = [np.full((3, 1), 20.0)] * 120 + list(20.0 + rng.standard_normal((1500, 3, 1)))
    state = detector.initial(1)
    for one in rows:
        state, score, _ = detector.step(state, Features.of_readings(one))
    assert 0.2 < float(state["scale"][0]) < 2.0
    assert float(score[0]) < 10.0


CHECKS: tuple[Callable[[Detector], None], ...] = (
    inputs_are_unchanged,
    is_causal,
    is_local,
    is_bounded,
    bears_gaps,
    warm_up_is_silent,
    is_deterministic,
    state_survives_bytes,
    older_state_is_taken,
    score_points_one_way,
    evidence_is_told,
    spec_is_frozen_and_sourced,
    nonsense_is_refused,
    one_absurd_reading_is_survived,
    a_value_that_never_moved_may_move,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", DETECTORS)
def test_detector(name: str, check: Callable[[Detector], None]) -> None:
    check(DETECTORS[name]())
