"""Memory of all processes together at its peak, and CPU. PSS: a page that two processes share counts half in each."""

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

_EVERY_S = 3.0
"""One look at a JVM's map costs the kernel some 10 ms."""


def pss_kib(pid: int, proc: Path = Path("/proc")) -> int:
    """Return a process's PSS in KiB; 0 if it has ended or may not be looked at."""
    try:
        text = (proc / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)


def cpu_s(pid: int, proc: Path = Path("/proc")) -> float:
    """Return the CPU seconds that a process has used; 0 if it has ended."""
    try:
        # The name, in brackets, may hold anything; the fields after it are numbers.
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Sampler:
    """A thread that keeps the largest sum seen, and what each group of processes had in it."""

    def __init__(self, processes: Callable[[], Mapping[str, Iterable[int]]], every_s: float = _EVERY_S) -> None:
        self._processes = processes
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)
        self.peak_mib = 0.0
        self.at_peak_mib: dict[str, float] = {}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End and wait for the thread."""
        self._stop.set()
        self._thread.join()

    def sample(self) -> None:
        """Look once."""
        groups = self._processes()
        counted: set[int] = set()
        sizes = {}
        for name, pids in groups.items():
            fresh = set(pids) - counted
            counted |= fresh
            sizes[name] = round(sum(pss_kib(pid) for pid in fresh) / 1024, 1)
        total = sum(sizes.values())
        if total > self.peak_mib:
            self.peak_mib, self.at_peak_mib = round(total, 1), sizes

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU seconds that each group's processes have used since they started."""
        return {name: round(sum(map(cpu_s, pids)), 1) for name, pids in self._processes().items()}

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.sample()
