import os
import subprocess
import sys
import time
from pathlib import Path

from jobs.orphan import end_with_task_manager, java_above, parent_of


def process(proc: Path, pid: int, parent: int, name: str) -> None:
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "stat").write_text(f"{pid} (odd ) name) S {parent} 1 1 0")
    (proc / str(pid) / "comm").write_text(name + "\n")


def test_the_task_manager_is_found_through_the_shell(tmp_path: Path) -> None:
    process(tmp_path, 30, 20, "python")
    process(tmp_path, 20, 10, "bash")
    process(tmp_path, 10, 1, "java")
    assert parent_of(30, tmp_path) == 20
    assert java_above(30, tmp_path) == 10


def test_a_process_without_java_above_is_left_alone(tmp_path: Path) -> None:
    process(tmp_path, 30, 20, "python")
    process(tmp_path, 20, 1, "bash")
    assert java_above(30, tmp_path) is None
    assert java_above(99, tmp_path) is None
    end_with_task_manager()  # must not end the test


def test_a_worker_ends_with_the_process_above_it() -> None:
    worker = "import sys, time; sys.path.insert(0, sys.argv[1]); import jobs.orphan as o; o.end_with_task_manager(); "
    worker += "print('ready', flush=True); time.sleep(30)"
    above = (
        "import subprocess, sys, ctypes; ctypes.CDLL(None).prctl(15, b'java', 0, 0, 0); "
        "w = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE); w.stdout.readline(); print(w.pid, flush=True); "
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", above, sys.executable, "-c", worker, root],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    pid = int(done.stdout)
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError("the worker lives on")
