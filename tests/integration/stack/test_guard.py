"""The guard, with shell scripts for parts: no process outlives it, whoever is killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import guard
from deploy.local.processes import is_alive
from tests.support.stack import wait_for

pytestmark = pytest.mark.integration

FAMILY = "sleep 1000 & echo $! > child; (sleep 1000 & echo $! > grandchild; wait) & echo ready > ready; wait"
"""A program with a child, and a grandchild that stays when its parent goes."""


class Guarded:
    """One guarded shell script in a folder of its own."""

    def __init__(self, folder: Path, script: str, stop_s: float = 5.0, lifeline: int | None = None) -> None:
        self.folder = folder
        spec = {
            "argv": ["sh", "-c", script],
            "env": dict(os.environ),
            "cwd": str(folder),
            "pid_file": str(folder / "pid"),
            "stop_s": stop_s,
            "grace_s": 0,
            "detached": False,
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        argv = [sys.executable, "-I", "-S", guard.__file__, str(folder / "spec.json")]
        argv += [] if lifeline is None else [str(lifeline)]
        self.process = subprocess.Popen(argv, pass_fds=[] if lifeline is None else [lifeline])

    def wait_ready(self) -> None:
        wait_for(lambda: (self.folder / "ready").exists() and (self.folder / "pid").exists(), 10, "the script runs")

    def pid(self, name: str) -> int:
        return int((self.folder / name).read_text())

    def ended(self) -> int:
        return self.process.wait(20)


@pytest.fixture
def cleaned() -> Iterator[list[Guarded]]:
    started: list[Guarded] = []
    yield started
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@pytest.fixture
def family(tmp_path: Path, cleaned: list[Guarded]) -> Guarded:
    guarded = Guarded(tmp_path, FAMILY)
    cleaned.append(guarded)
    guarded.wait_ready()
    wait_for((tmp_path / "grandchild").exists, 5, "the grandchild runs")
    return guarded


def no_family(guarded: Guarded) -> bool:
    return not any(is_alive(guarded.pid(name)) for name in ("child", "grandchild"))


def test_a_killed_program_takes_its_descendants_with_it(family: Guarded) -> None:
    os.kill(family.pid("pid"), signal.SIGKILL)
    assert family.ended() == 128 + signal.SIGKILL
    assert no_family(family)
    assert not (family.folder / "pid").exists()


def test_a_stopped_guard_leaves_nothing(family: Guarded) -> None:
    family.process.send_signal(signal.SIGTERM)
    assert family.ended() == 128 + signal.SIGTERM
    assert no_family(family)


def test_the_program_ends_with_a_killed_guard(family: Guarded) -> None:
    program = family.pid("pid")
    family.process.kill()
    family.ended()
    wait_for(lambda: not is_alive(program), 5, "the program has ended")
    for name in ("child", "grandchild"):  # whose guard is gone; the stack's sweep ends them
        os.kill(family.pid(name), signal.SIGKILL)


def test_a_program_that_does_not_stop_is_killed(tmp_path: Path, cleaned: list[Guarded]) -> None:
    stubborn = Guarded(tmp_path, "trap '' TERM; echo ready > ready; while :; do sleep 0.1; done", stop_s=0.3)
    cleaned.append(stubborn)
    stubborn.wait_ready()
    stubborn.process.send_signal(signal.SIGTERM)
    assert stubborn.ended() == 128 + signal.SIGKILL


def test_a_program_may_finish_its_work(tmp_path: Path, cleaned: list[Guarded]) -> None:
    tidy = Guarded(
        tmp_path, "trap 'sleep 0.3; echo done > done; exit 7' TERM; echo ready > ready; while :; do sleep 0.1; done"
    )
    cleaned.append(tidy)
    tidy.wait_ready()
    tidy.process.send_signal(signal.SIGTERM)
    assert tidy.ended() == 7
    assert (tmp_path / "done").exists()


def test_the_lifeline_ends_it(tmp_path: Path, cleaned: list[Guarded]) -> None:
    read_end, write_end = os.pipe()
    guarded = Guarded(tmp_path, FAMILY, lifeline=read_end)
    cleaned.append(guarded)
    os.close(read_end)
    guarded.wait_ready()
    assert guarded.process.poll() is None
    os.close(write_end)
    guarded.ended()
    assert no_family(guarded)


def test_a_program_that_is_missing_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "spec.json").write_text(
        json.dumps(
            {
                "argv": ["/no/such/program"],
                "env": {},
                "cwd": str(tmp_path),
                "pid_file": str(tmp_path / "pid"),
                "stop_s": 1,
                "grace_s": 0,
                "detached": False,
            }
        )
    )
    argv = [sys.executable, "-I", "-S", guard.__file__, str(tmp_path / "spec.json")]
    assert subprocess.run(argv, check=False, timeout=20).returncode == 127
    assert "/no/such/program: No such file" in capfd.readouterr().err


def test_the_guard_ends_with_its_parent(tmp_path: Path) -> None:
    spec = {
        "argv": ["sleep", "1000"],
        "env": dict(os.environ),
        "cwd": str(tmp_path),
        "pid_file": str(tmp_path / "pid"),
        "stop_s": 5,
        "grace_s": 0,
        "detached": False,
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    guarded = f"{sys.executable} -I -S {guard.__file__} {tmp_path / 'spec.json'}"
    parent = subprocess.Popen(["sh", "-c", f"{guarded} & sleep 1000"], start_new_session=True)
    wait_for((tmp_path / "pid").exists, 10, "the program runs")
    program = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_alive(program), 10, "the program has ended")
    os.killpg(parent.pid, signal.SIGKILL)  # the shell's own sleep


def test_an_idle_guard_costs_nothing(family: Guarded) -> None:
    def cpu() -> int:
        fields = Path(f"/proc/{family.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = cpu()
    import time

    time.sleep(1.0)
    assert cpu() - before <= 1
