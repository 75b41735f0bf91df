"""The embedded stack: real parts as processes on loopback, started in order of health and stopped cleanly.

`tidemark up`, the demo and the integration tests use this one class.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal as signals
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from connectors.kit.settings import Settings
from deploy.local import guard
from deploy.local.classdata import ClassData
from deploy.local.effective import effective, part_environment, to_toml, write_private
from deploy.local.gate.error import GateError
from deploy.local.layout import PROJECT, Layout
from deploy.local.part import Launch, Part
from deploy.local.ports import taken, twice
from deploy.local.processes import STEP_S, is_alive, marked, send, sweep
from deploy.local.programs import all_parts, spell_out
from deploy.local.starting import NOT_RUNNING, Ending, StartFailed, Starting
from deploy.local.supervisor import EXTRA_STOP_S, Program, State, Supervisor, SupervisorDown, render, supervisord_argv

SUPERVISOR = "supervisor"
ACTIVE = ("STARTING", "RUNNING", "BACKOFF", "STOPPING")
SUPERVISOR_START_S = 60.0
"""supervisord is up in half a second; a busy machine may take longer, a broken one for ever."""
SUPERVISOR_STOP_S = 20.0


class StackError(Exception):
    """The stack can't do what was asked; the message says why and what to do next."""


class Stack:
    """The parts in one folder.

    As a context manager it is *tied*: when the process that holds it ends, however that is, every part ends too.

    >>> with Stack(settings, folder) as stack:  # doctest: +SKIP
    ...     stack.start(["mosquitto", "kafka"])
    ...     stack.kill("mosquitto")
    ...     stack.wait_healthy("mosquitto")

    Parameters
    ----------
    settings
        As loaded; `effective(settings, folder)` is what the parts get (paths absolute, data under `folder`).
    folder
        Data, logs and the stack's own files.
    echo
        Told each step in words, for people; called from several threads.

    Attributes
    ----------
    settings : Settings
        The effective settings.
    settings_file : Path
        Where they are written, for `TIDEMARK_SETTINGS` of whatever else shall talk to this stack.
    parts : dict[str, Part]
        Every part that could be started, by name.
    """

    def __init__(self, settings: Settings, folder: Path, echo: Callable[[str], None] = lambda _: None) -> None:
        self.settings = effective(settings, folder)
        self.layout = Layout(self.settings.stack.data)
        self.folder = self.layout.folder
        self.settings_file = self.layout.settings_file
        self.parts = all_parts(self.settings, self.layout)
        self._echo = echo
        self._supervisor = Supervisor(self.layout)
        self._lifeline: int | None = None
        self._tied = False
        self._killed: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Tie the parts to this process; they start by `start`."""
        if self.is_up():
            raise StackError(f"a stack is running in {self.folder}; stop it first: tidemark down --data {self.folder}")
        self._tied = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every part."""
        self.stop()
        self._tied = False

    def is_up(self) -> bool:
        """Whether a supervisor runs in the folder, with or without parts."""
        return self._supervisor.answers()

    # Starting

    def start(self, parts: Sequence[str] | None = None, fresh: bool = False) -> None:
        """Start `parts` (default: the settings' `stack.parts`) and return when all are healthy.

        Topics, the Influx database and the first rule set are made in between, once Kafka and InfluxDB are up. Parts
        that run already are left alone. `"flink"` means `"jobmanager"` and `"taskmanager"`.

        Parameters
        ----------
        parts
            Names of parts.
        fresh
            Whether to delete all data of the stack first.

        Raises
        ------
        StackError
            A port is taken (before anything is started), a program is missing, or a part does not become healthy; the
            message holds the end of its log. What did start runs on: `stop` stops it.
        """
        wanted = [self._part(name) for name in spell_out(list(self.settings.stack.parts if parts is None else parts))]
        self.layout.make()
        with self._alone():
            running = {name for name, state in self._states().items() if state.state in ACTIVE}
            if not self.is_up():
                self._wait_for_supervisors_end()
                self._end_orphans()
            if fresh:
                self._delete_data(running)
            todo = [part for part in wanted if part.name not in running]
            self._open_gate(todo)
            self._check_ports(todo)
            write_private(self.settings_file, to_toml(self.settings))
            self._ensure_supervisor()
            try:
                self._bring_up(todo)
            except StartFailed as failed:
                raise StackError(self._with_log(str(failed), failed.part)) from failed

    def _bring_up(self, todo: list[Part]) -> None:
        Starting(
            todo,
            self.settings,
            launch=self._launch,
            problem=self._problem,
            ending=self._ending,
            echo=self._echo,
        ).run()

    def _part(self, name: str) -> Part:
        if name not in self.parts:
            raise StackError(f"no part is called {name}; there are {', '.join(self.parts)} and flink (both of Flink's)")
        return self.parts[name]

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder's lock, so that two commands don't start and stop the same parts."""
        with open(self.layout.lock, "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StackError(
                    f"another tidemark command is starting or stopping the stack in {self.folder}"
                ) from None
            yield

    def _wait_for_supervisors_end(self) -> None:
        """Let a supervisor that is shutting down finish, so that its parts end cleanly."""
        deadline = time.monotonic() + SUPERVISOR_STOP_S
        while self._runs(SUPERVISOR) and time.monotonic() < deadline:
            time.sleep(STEP_S)

    def _runs(self, name: str) -> bool:
        try:
            self.pid(name)
        except StackError:
            return False
        return True

    def _end_orphans(self) -> None:
        if left := sweep(self.folder):
            self._echo(f"ended {len(left)} processes that an earlier run left behind")

    def _delete_data(self, running: set[str]) -> None:
        if running:
            raise StackError(
                f"{', '.join(sorted(running))} run on the data to be deleted; stop them first: tidemark down"
            )
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        self.layout.make()

    def _check_ports(self, todo: list[Part]) -> None:
        uses = [use for part in self.parts.values() for use in part.ports]
        problems = twice(uses) + taken(use for part in todo for use in part.ports)
        if problems:
            raise StackError("\n".join(problems))

    def _open_gate(self, todo: list[Part]) -> None:
        """Make what a listener beyond loopback needs."""
        if not self.settings.stack.listen:
            return  # what follows loads cryptography, which takes a while
        from deploy.local.gate.opening import prepare

        try:
            is_new = prepare(self.settings, self.layout, self._echo)
        except GateError as error:
            raise StackError(str(error)) from error
        if is_new and "mosquitto" not in {part.name for part in todo}:
            self._echo("the broker that runs takes its new certificate with: tidemark down && tidemark up")

    def _ensure_supervisor(self) -> None:
        if self.is_up():
            return
        programs = [Program(part.name, part.stop_s) for part in self.parts.values()]
        config = render(self.layout, sys.executable, guard.__file__, programs)
        write_private(self.layout.supervisor_config, config)
        # Its own stop is that of all parts together, should it be asked to before they are.
        grace_s = max(part.stop_s for part in self.parts.values()) + EXTRA_STOP_S
        self._write_spec(SUPERVISOR, Launch(tuple(supervisord_argv(self.layout))), grace_s, grace_s)
        argv = [sys.executable, "-I", "-S", guard.__file__, str(self.layout.spec_file(SUPERVISOR))]
        self._spawn(argv)
        deadline = time.monotonic() + SUPERVISOR_START_S
        while not self.is_up():
            if time.monotonic() > deadline:
                raise StackError(self._with_log("the supervisor does not start", SUPERVISOR))
            time.sleep(STEP_S)

    def _spawn(self, argv: list[str]) -> None:
        """Start the supervisor's guard in a session of its own: a Ctrl-C at the terminal is not for the parts."""
        read_end = None
        if self._tied:
            read_end, self._lifeline = os.pipe()
            argv = [*argv, str(read_end)]
        with open(self.layout.log / "guard.log", "w") as log:
            subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=part_environment(self.layout),
                pass_fds=[] if read_end is None else [read_end],
                start_new_session=True,
            )
        if read_end is not None:
            os.close(read_end)

    def _launch(self, part: Part) -> None:
        """Write what the part's guard needs and have the supervisor start it."""
        self._write_spec(part.name, part.launch(), part.stop_s, part.grace_s)
        self._killed.pop(part.name, None)
        self._supervisor.start(part.name)

    def _write_spec(self, name: str, launch: Launch, stop_s: float, grace_s: float) -> None:
        spec = {
            "argv": launch.argv,
            "env": dict(launch.env),
            "cwd": str(PROJECT),
            "pid_file": str(self.layout.pid_file(name)),
            "stop_s": stop_s,
            "grace_s": grace_s,
            "detached": name == SUPERVISOR,
        }
        write_private(self.layout.spec_file(name), json.dumps(spec, indent=1))

    # Stopping

    def stop(self, parts: Sequence[str] | None = None) -> None:
        """Stop `parts` (default: all, and the supervisor), services first and Kafka last; no process is left."""
        everything = parts is None
        if not self.layout.run.exists():
            return
        chosen = list(self.parts.values()) if parts is None else [self._part(name) for name in spell_out(list(parts))]
        with self._alone():
            for stage in sorted({part.stage for part in chosen}):
                self._stop_stage([part for part in chosen if part.stage == stage])
            if everything:
                self._stop_supervisor()
                self._end_orphans()
                ClassData(self.layout.class_data).adopt()

    def _stop_stage(self, parts: list[Part]) -> None:
        states = self._states()
        active = [part for part in parts if part.name in states and states[part.name].state in ACTIVE]
        with contextlib.suppress(SupervisorDown):
            for part in active:
                self._echo(f"stopping {part.name}")
                self._supervisor.stop(part.name)
        limit_s = max((part.stop_s + part.grace_s for part in active), default=0.0) + EXTRA_STOP_S
        deadline = time.monotonic() + limit_s
        # Asking is also what makes supervisord look: alone it wakes up once a second.
        while any(part.name in (now := self._states()) and now[part.name].state in ACTIVE for part in active):
            if time.monotonic() > deadline:
                raise StackError(f"{', '.join(part.name for part in active)} did not stop within {limit_s:.0f} s")
            time.sleep(STEP_S)

    def _stop_supervisor(self) -> None:
        with contextlib.suppress(SupervisorDown):
            self._supervisor.shutdown()
        deadline = time.monotonic() + SUPERVISOR_STOP_S
        while marked(self.folder) and time.monotonic() < deadline:
            time.sleep(STEP_S)
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def restart(self, part: str) -> None:
        """Stop one part cleanly, start it, and wait until it is healthy."""
        chosen = self._part(part)
        with self._alone():
            self._stop_stage([chosen])
            self._launch(chosen)
        self.wait_healthy(part, chosen.start_s)

    def kill(self, part: str, signal: signals.Signals = signals.SIGKILL) -> int:
        """Send a signal to the part's own process (not its supervisor); return the pid it had.

        After a deadly signal the supervisor starts the part again by itself: `wait_healthy` waits for it.
        """
        pid = self.pid(part)
        if signal in (signals.SIGKILL, signals.SIGTERM, signals.SIGINT):
            self._killed[part] = pid
        send(pid, signal)
        return pid

    # Looking

    def pid(self, part: str) -> int:
        """Return the pid of the part's own process. Raises `StackError` if it doesn't run."""
        try:
            pid = int(self.layout.pid_file(part).read_text())
        except (OSError, ValueError):
            raise StackError(f"{part} is not running") from None
        if not is_alive(pid):
            raise StackError(f"{part} is not running")
        return pid

    def pids(self) -> dict[str, list[int]]:
        """Return every process of the stack by part, Flink's Python workers and the supervisor (`supervisor`) too."""
        table = guard.parents()
        found = {}
        for name, state in self._states().items():
            if state.guard_pid:
                found[name] = [state.guard_pid, *guard.descendants(state.guard_pid, table)]
        belonging = {pid for pids in found.values() for pid in pids}
        found[SUPERVISOR] = [pid for pid in marked(self.folder) if pid not in belonging]
        return found

    def states(self) -> dict[str, State]:
        """Return the state of every part as the supervisor sees it; empty if none runs."""
        return self._states()

    def _states(self) -> dict[str, State]:
        try:
            return self._supervisor.states()
        except SupervisorDown:
            return {}

    def _problem(self, part: Part) -> str | None:
        """Return why the part is not healthy, or None."""
        try:
            pid = self.pid(part.name)
        except StackError:
            return NOT_RUNNING
        if self._killed.get(part.name) == pid:
            return "being killed"
        return part.check()

    def _ending(self, part: Part) -> Ending | None:
        state = self._states().get(part.name)
        return Ending(state.ended_at, state.exit_code) if state is not None and state.ended_at else None

    def healthy(self, part: str) -> bool:
        """Whether the part runs and its health check passes now."""
        return self._problem(self._part(part)) is None

    def wait_healthy(self, part: str, timeout_s: float = 120.0) -> None:
        """Return when the part's health check passes; raises `StackError` with the end of its log otherwise."""
        chosen = self._part(part)
        deadline = time.monotonic() + timeout_s
        while (problem := self._problem(chosen)) is not None:
            if time.monotonic() > deadline:
                raise StackError(self._with_log(f"{part} is not healthy after {timeout_s:.0f} s: {problem}", part))
            time.sleep(2 * STEP_S)
        self._killed.pop(part, None)

    def log_file(self, part: str) -> Path:
        """Return the part's log."""
        return self.layout.log_file(part)

    def log_tail(self, part: str, lines: int = 40) -> str:
        """Return the end of the part's log; empty if there is none."""
        try:
            with self.log_file(part).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 64 * 1024))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _with_log(self, message: str, part: str) -> str:
        tail = self.log_tail(part, 15)
        end = f"\n--- the end of {self.log_file(part)} ---\n{tail}" if tail else ""
        return message + end
