"""A log is followed line by line, over its rotation."""

from pathlib import Path

import pytest

from connectors.kit import follow
from connectors.kit.follow import Follower


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_only_what_comes_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    append(path, "old\n")
    follower = Follower(path)
    append(path, "new\nha")
    assert follower.lines() == ["new"]
    append(path, "lf\n")
    assert follower.lines() == ["half"]


def test_a_rotated_log_is_followed_on(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    append(path, "old\n")
    follower = Follower(path)
    append(path, "last\n")
    path.rename(tmp_path / "a.log.1")
    append(path, "first\n")
    assert follower.lines() == ["last", "first"]


def test_what_is_written_between_a_look_and_the_rotation_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    append(path, "old\n")
    follower = Follower(path)

    def rotate_meanwhile() -> bool:
        append(path, "just before\n")
        path.rename(tmp_path / "a.log.1")
        append(path, "just after\n")
        return True

    follower._was_replaced = rotate_meanwhile  # type: ignore[method-assign]
    assert follower.lines() == ["just before", "just after"]


def test_a_log_that_comes_later_is_shown_whole(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "a.log")
    assert follower.lines() == []
    append(tmp_path / "a.log", "first\n")
    assert follower.lines() == ["first"]


def test_a_truncated_log_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    append(path, "a long old line\n")
    follower = Follower(path)
    path.write_text("new\n")
    assert follower.lines() == ["new"]


def test_a_log_that_grew_for_long_comes_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "MAX_READ_BYTES", 10)
    path = tmp_path / "a.log"
    follower = Follower(path)
    append(path, "")
    assert follower.lines() == []
    append(path, "".join(f"line {number}\n" for number in range(5)))
    path.rename(tmp_path / "a.log.1")
    append(path, "after\n")
    found: list[str] = []
    while new := follower.lines():
        found += new
    assert found == [*(f"line {number}" for number in range(5)), "after"]
