"""Runs one program so that none of its processes outlives it, the supervisor, or whoever holds the lifeline.

Started as a file by the supervisor (`python -I -S guard.py SPEC [LIFELINE]`), so it uses the standard library alone and
stays small. Every part has one. It is what makes "no orphans" true:

- it is a *subreaper*: a grandchild whose parent dies (a Python worker of a killed task manager) becomes its child, and
  is killed when the program has ended;
- it gets SIGTERM from the kernel when its parent dies, and stops the program as if asked to (not if it is *detached*,
  as the supervisor's guard is: who starts the stack by command goes away);
- the program gets SIGKILL from the kernel when the guard dies;
- a lifeline is the read end of a pipe: when its last writer is gone, however it went, the guard stops the program.

SPEC is a JSON file: `argv`, `env` (what it has beyond the guard's, so that no inherited secret is written down), `cwd`,
`pid_file`, `stop_s` (how long the program may take to stop), `grace_s` (how long what it leaves behind may take),
`detached`.
"""

import ctypes
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STEP_S = 0.05
"""How often the end of a stopping program is looked for; only while stopping, so an idle guard costs nothing."""


def prctl(option: int, value: int) -> None:
    """Call Linux's `prctl`. Raises `OSError`."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def parents() -> dict[int, int]:
    """Return pid → parent's pid of every process."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_text()
            except OSError:  # it ended meanwhile
                continue
            # The name in parentheses may hold spaces and parentheses itself.
            found[int(entry)] = int(stat.rpartition(")")[2].split()[1])
    return found


def descendants(root: int, table: dict[int, int] | None = None) -> list[int]:
    """Return the pids below `root`, parents before children."""
    table = parents() if table is None else table
    below: list[int] = []
    level = [root]
    while level:
        level = [pid for pid, parent in table.items() if parent in level]
        below += level
    return below


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


class Guard:
    """One program under guard.

    Parameters
    ----------
    spec
        As described above.
    lifeline
        File descriptor, or None.
    """

    def __init__(self, spec: dict[str, Any], lifeline: int | None) -> None:
        self.spec = spec
        self.lifeline = lifeline
        self.stopping = False
        self.main = 0
        self.status = 0
        self.alive = False
        self.wake, self._wake_writer = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(self._wake_writer, False)

    def run(self) -> int:
        """Run the program to its end, clean up behind it, and return its exit code (128 + n for signal n)."""
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        if not self.spec["detached"]:
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() == 1:
                return 0  # the parent died before the line above
        self._handle_signals()
        self._spawn()
        pid_file = Path(self.spec["pid_file"])
        pid_file.write_text(f"{self.main}\n")
        self._wait()
        self._clean_up()
        pid_file.unlink(missing_ok=True)
        return self.status

    def _handle_signals(self) -> None:
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_stop)

    def _on_stop(self, *_: object) -> None:
        self.stopping = True

    def _spawn(self) -> None:
        guard = os.getpid()
        self.alive = True
        self.main = os.fork()
        if self.main:
            return
        try:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            for number in (signal.SIGCHLD, *STOP_SIGNALS):
                signal.signal(number, signal.SIG_DFL)
            if os.getppid() != guard:
                os._exit(0)
            os.chdir(self.spec["cwd"])
            os.environ.update(self.spec["env"])
            os.execvp(self.spec["argv"][0], self.spec["argv"])  # noqa: S606
        except OSError as error:
            print(f"{self.spec['argv'][0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(127)

    def _wait(self) -> None:
        """Return when the program has ended; ask it to, and then make it, once that is wanted."""
        watched = [self.wake] + ([self.lifeline] if self.lifeline is not None else [])
        while self.alive and not self.stopping:
            ready, _, _ = select.select(watched, [], [])
            if self.lifeline in ready:
                self.stopping = True
            self._drain()
            self._reap()
        if not self.alive:
            return
        send(self.main, signal.SIGTERM)
        deadline = time.monotonic() + self.spec["stop_s"]
        while self.alive and time.monotonic() < deadline:
            select.select([self.wake], [], [], STEP_S)
            self._drain()
            self._reap()
        while self.alive:
            send(self.main, signal.SIGKILL)
            time.sleep(STEP_S)
            self._reap()

    def _clean_up(self) -> None:
        """End whatever the program left behind: ask those that became ours, then kill all."""
        deadline = time.monotonic() + self.spec["grace_s"]
        if self.spec["grace_s"]:
            for pid, parent in parents().items():
                if parent == os.getpid():
                    send(pid, signal.SIGTERM)
        while self._reap() and time.monotonic() < deadline:
            time.sleep(STEP_S)
        while self._reap():
            for pid in descendants(os.getpid()):
                send(pid, signal.SIGKILL)
            time.sleep(STEP_S)

    def _reap(self) -> bool:
        """Take the exit codes of ended children; False when no child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.main:
                self.alive = False
                code = os.waitstatus_to_exitcode(status)
                self.status = code if code >= 0 else 128 - code

    def _drain(self) -> None:
        try:
            while os.read(self.wake, 512):
                pass
        except BlockingIOError:
            return


def main() -> None:
    """Run the guard by the command line."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    lifeline = int(sys.argv[2]) if len(sys.argv) > 2 else None
    sys.exit(Guard(spec, lifeline).run())


if __name__ == "__main__":
    main()
