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


def test_several_are_followed_at_once(tmp_path: Path) -> None:
    files = {"a": tmp_path / "a.log", "b": tmp_path / "b.log"}
    lines = follow_logs(files)
    import threading

    writer = threading.Timer(0.02, lambda: [append(path, f"from {name}\n") for name, path in files.items()])
    writer.start()
    assert sorted(take(lines, 2)) == ["from a", "from b"]
    writer.join()
