"""Processes of a stack as Linux shows them: who belongs to it, who is left, and what memory they use."""

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from deploy.local.effective import MARKER

STEP_S = 0.05


def marked(folder: Path) -> list[int]:
    """Return the pids of all processes that carry the marker of the stack in `folder`, but for this one."""
    wanted = f"{MARKER}={folder}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            environment = Path("/proc", entry, "environ").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile, or is another user's
            continue
        if wanted in environment:
            found.append(int(entry))
    return found


def sweep(folder: Path) -> list[int]:
    """Kill every process of the stack in `folder` that is left, and return their pids.

    Raises
    ------
    TimeoutError
        If one doesn't go: it waits for a device that doesn't answer, which only the system can end.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + 10.0
    while left := marked(folder):
        for pid in left:
            send(pid, signal.SIGKILL)
        killed.update(left)
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {left} can't be killed")
        time.sleep(STEP_S)
    return sorted(killed)


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie, ended but not yet reaped, does not."""
    try:
        state = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def pss_kib(pids: Iterable[int]) -> int:
    """Return the proportional set size of the processes together, KiB: memory they share counts once."""
    return sum(_pss_of(pid) for pid in pids)


def _pss_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("Pss:")), 0)
    except OSError:  # it ended meanwhile
        return 0
