import pytest

from jobs.held import Held, decode_held, encode_held
from jobs.windows.shard import Window

HELD = Held(3, 10_000, 20_000, [b"a", b"", b"\xff"], 7, 9, False)


def test_comes_back_as_it_was() -> None:
    assert decode_held(encode_held(HELD)) == HELD


def test_is_the_window_that_the_step_takes() -> None:
    assert HELD.window() == Window(3, 10_000, 20_000, [b"a", b"", b"\xff"], 7, 9)


def test_a_later_version_is_refused_with_its_number() -> None:
    with pytest.raises(ValueError, match="version 2; this build knows 1"):
        decode_held(b"\x02" + encode_held(HELD)[1:])


def test_bytes_of_version_1_stay_readable() -> None:
    kept = bytes.fromhex("0197 03 cd2710 cd4e20 93 c40161 c400 c401ff 07 09 c2")
    assert decode_held(kept) == HELD
