import os
from pathlib import Path

from deploy.local.flink.snapshots import forget_others, snapshots


def snapshot(folder: Path, name: str, at: int, whole: bool = True) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    (path / "state").touch()
    if whole:
        (path / "_metadata").touch()
        os.utime(path / "_metadata", (at, at))
    return path


def test_the_newest_comes_first_of_whatever_kind_and_job(tmp_path: Path) -> None:
    old = snapshot(tmp_path, "checkpoints/a/chk-9", 1)
    saved = snapshot(tmp_path, "savepoints/savepoint-a-1", 2)
    new = snapshot(tmp_path, "checkpoints/b/chk-1", 3)
    assert [one.path for one in snapshots(tmp_path)] == [new, saved, old]
    assert snapshots(tmp_path)[0].uri == new.as_uri()


def test_an_unfinished_one_is_none(tmp_path: Path) -> None:
    snapshot(tmp_path, "checkpoints/a/chk-2", 2, whole=False)
    assert snapshots(tmp_path) == []


def test_nothing_there_is_nothing(tmp_path: Path) -> None:
    assert snapshots(tmp_path) == []
    assert forget_others(tmp_path, "job") == []


def test_the_newest_of_other_jobs_are_kept_and_those_of_the_running_one_untouched(tmp_path: Path) -> None:
    own = [snapshot(tmp_path, f"checkpoints/me/chk-{n}", 90 + n, whole=n < 3) for n in (1, 2, 3)]
    kept = [snapshot(tmp_path, f"checkpoints/b/chk-{n}", 10 + n) for n in (1, 2)]
    kept.append(snapshot(tmp_path, "savepoints/savepoint-a-2", 10))
    gone = [snapshot(tmp_path, "checkpoints/a/chk-9", 1), snapshot(tmp_path, "savepoints/savepoint-a-1", 2)]
    gone.append(snapshot(tmp_path, "checkpoints/b/chk-3", 99, whole=False))
    assert sorted(forget_others(tmp_path, "me", 3)) == sorted(gone)
    assert all((path / "state").exists() for path in kept + own)
    assert not (tmp_path / "checkpoints/a").exists()
    assert (tmp_path / "checkpoints/b").exists()
