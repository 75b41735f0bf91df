"""supervisord: its configuration, and its remote procedure calls over a Unix socket."""

import http.client
import os
import pwd
import resource
import shlex
import socket
import sys
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from deploy.local.layout import Layout

LOG_BYTES = "10MB"
LOG_BACKUPS = 2
"""30 MB of log a part at most."""
OPEN_FILES = 65_536
"""A broker holds one file a connection, Kafka three a partition's segment."""
EXTRA_STOP_S = 10
"""The guard makes the part end within its own limit; only a hung guard is killed by the supervisor, after this more."""

CALL_TIMEOUT_S = 30.0
"""supervisord answers in milliseconds; one that hangs must not hang every command."""


class SupervisorDown(Exception):
    """supervisord does not answer."""


@dataclass(frozen=True)
class Program:
    """What supervisord knows of a part.

    Attributes
    ----------
    stop_s
        How long the part may take to stop before it is killed.
    start_s
        A part that ends sooner than this after its start counts as failed at the start: it is started again after
        a pause that grows by a second each time.
    """

    name: str
    stop_s: float
    start_s: int = 2


@dataclass(frozen=True)
class State:
    """A program as supervisord sees it; `state` is one of its names, such as RUNNING, BACKOFF or STOPPED.

    `guard_pid` is the guard's, 0 if none runs; the program is its child. `ended_at` is when the program last ended, in
    seconds since 1970, 0 for never, and `exit_code` how.
    """

    name: str
    state: str
    since_s: int
    detail: str
    guard_pid: int
    ended_at: int
    exit_code: int


def render(layout: Layout, python: str, guard: str, programs: Iterable[Program]) -> str:
    """Return supervisord's configuration."""
    soft_limit = min(OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    sections = [
        f"[unix_http_server]\nfile={_escape(str(layout.socket))}\nchmod=0700",
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        "\n".join(
            [
                "[supervisord]",
                f"logfile={_escape(str(layout.log_file('supervisor')))}",
                "logfile_maxbytes=5MB",
                "logfile_backups=1",
                f"pidfile={_escape(str(layout.run / 'supervisord-own.pid'))}",
                f"minfds={soft_limit}",
                "nodaemon=true",
                "silent=true",
                # Named, or it warns on each start that it runs as root.
                *([f"user={pwd.getpwuid(0).pw_name}"] if os.getuid() == 0 else []),
            ]
        ),
    ]
    return "\n\n".join(sections + [_program(layout, python, guard, program) for program in programs]) + "\n"


def _program(layout: Layout, python: str, guard: str, program: Program) -> str:
    command = shlex.join([python, "-I", "-S", guard, str(layout.spec_file(program.name))])
    return "\n".join(
        [
            f"[program:{program.name}]",
            f"command={_escape(command)}",
            "autostart=false",
            "autorestart=true",
            f"startsecs={program.start_s}",
            # It gives up never: a broker may be away for long.
            "startretries=1000000",
            "stopsignal=TERM",
            f"stopwaitsecs={int(program.stop_s) + EXTRA_STOP_S}",
            "redirect_stderr=true",
            f"stdout_logfile={_escape(str(layout.log_file(program.name)))}",
            f"stdout_logfile_maxbytes={LOG_BYTES}",
            f"stdout_logfile_backups={LOG_BACKUPS}",
        ]
    )


def _escape(value: str) -> str:
    return value.replace("%", "%%")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CALL_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a Unix socket, with a limit in time, which supervisor's own transport has not."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        return _UnixConnection(self._path)


class Supervisor:
    """Calls to one supervisord; safe to use from several threads."""

    def __init__(self, layout: Layout) -> None:
        self._path = str(layout.socket)

    def start(self, name: str) -> None:
        """Start a program; nothing if it runs."""
        self._call("startProcess", name, False, ignore=("ALREADY_STARTED",))

    def stop(self, name: str) -> None:
        """Ask a program to stop; nothing if it doesn't run."""
        self._call("stopProcess", name, False, ignore=("NOT_RUNNING",))

    def states(self) -> dict[str, State]:
        """Return the state of every program."""
        infos = self._call("getAllProcessInfo")
        return {info["name"]: _state(info) for info in infos}

    def shutdown(self) -> None:
        """End supervisord and whatever still runs under it."""
        self._call("shutdown")

    def answers(self) -> bool:
        """Whether supervisord is there."""
        try:
            self._call("getState")
        except SupervisorDown:
            return False
        return True

    def _call(self, method: str, *arguments: Any, ignore: tuple[str, ...] = ()) -> Any:
        # A connection for each call: one that failed can't be used again, nor one by two threads.
        transport = _UnixTransport(self._path)
        server = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        try:
            return getattr(server.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            kind = fault.faultString.split(":")[0]
            if kind in ignore:
                return None
            if kind == "SHUTDOWN_STATE":
                raise SupervisorDown("supervisord is shutting down") from fault
            raise
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise SupervisorDown(f"supervisord does not answer: {error}") from error
        finally:
            transport.close()


def _state(info: dict[str, Any]) -> State:
    return State(
        name=info["name"],
        state=info["statename"],
        since_s=max(0, info["now"] - info["start"]),
        detail=info["spawnerr"],
        guard_pid=info["pid"],
        ended_at=info["stop"],
        exit_code=info["exitstatus"],
    )


def supervisord_argv(layout: Layout) -> list[str]:
    """Return the command that runs supervisord in the foreground."""
    return [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(layout.supervisor_config)]
