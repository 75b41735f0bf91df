from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from deploy.local import logs
from deploy.local.logs import follow_logs


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LOOK_S", 0.001)


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def take(lines: Iterator[tuple[str, str]], count: int) -> list[str]:
    return [line for _, line in islice(lines, count)]


class Followed:
    """A followed log whose follower has looked once, so what comes now is new."""

    def __init__(self, path: Path) -> None:
        self.follower = logs._Follower(path)

    def lines(self) -> list[str]:
        return self.follower.lines()


def test_only_what_comes_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    append(path, "old\n")
    followed = Followed(path)
    append(path, "new\nha")
    assert followed.lines() == ["new"]
    append(path, "lf\n")
    assert followed.lines() == ["half"]


def test_a_rotated_log_is_followed_on(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    append(path, "old\n")
    followed = Followed(path)
    append(path, "last\n")
    path.rename(tmp_path / "a.log.1")
    append(path, "first\n")
    assert followed.lines() == ["last", "first"]


def test_a_log_that_comes_later_is_shown_whole(tmp_path: Path) -> None:
    followed = Followed(tmp_path / "a.log")
    assert followed.lines() == []
    append(tmp_path / "a.log", "first\n")
    assert followed.lines() == ["first"]


def test_several_are_followed_at_once(tmp_path: Path) -> None:
    files = {"a": tmp_path / "a.log", "b": tmp_path / "b.log"}
    lines = follow_logs(files)
    import threading

    writer = threading.Timer(0.02, lambda: [append(path, f"from {name}\n") for name, path in files.items()])
    writer.start()
    assert sorted(take(lines, 2)) == ["from a", "from b"]
    writer.join()
