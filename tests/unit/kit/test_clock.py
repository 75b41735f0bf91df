"""The scaled clock agrees with itself in both directions."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.kit.clock import ManualClock, ScaledClock, WallClock


@given(st.integers(0, 2**45), st.floats(1, 100_000), st.integers(-(10**9), 10**9))
def test_wall_time_of_a_time_shows_that_time(time_ms: int, speed: float, origin_ms: int) -> None:
    clock = ScaledClock(origin_ms, 1_700_000_000_000, speed)
    # A double holds today's milliseconds to 0.25 µs; the clock runs `speed` times as fast.
    assert abs(clock.at(clock.wall_ms(time_ms)) - time_ms) <= 1 + speed * 0.001


def test_manual_clock_stands_until_moved() -> None:
    clock = ManualClock(5)
    clock.advance(10)
    assert clock.now_ms() == 15


def test_wall_clock_is_after_2020() -> None:
    assert WallClock().now_ms() > 1_577_836_800_000
