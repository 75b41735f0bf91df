from pathlib import Path

import pytest

from jobs.starting import wait_for


def test_waits_until_the_file_is_there(tmp_path: Path) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            (tmp_path / "go").touch()

    wait_for(tmp_path / "go", lambda: 1, sleep)
    assert len(slept) == 3


def test_ends_when_its_starter_has_gone(tmp_path: Path) -> None:
    parents = iter([7, 7, 1])
    with pytest.raises(InterruptedError, match="go has gone"):
        wait_for(tmp_path / "go", lambda: next(parents), lambda _: None)
