"""The embedded stack: real parts as processes on loopback, started in order of health and stopped cleanly.

`tidemark up`, the demo and the integration tests use this one class.
"""

import signal as signals
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from connectors.kit.settings import Settings


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
        Told each step in words, for people.

    Attributes
    ----------
    settings : Settings
        The effective settings.
    settings_file : Path
        Where they are written, for `TIDEMARK_SETTINGS` of whatever else shall talk to this stack.
    """

    def __init__(self, settings: Settings, folder: Path, echo: Callable[[str], None] = lambda _: None) -> None:
        self.settings = settings
        self.folder = folder
        self.settings_file = folder / "settings.toml"
        self._echo = echo

    def __enter__(self) -> Self:
        """Tie the parts to this process; they start by `start`."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop every part."""
        self.stop()

    def start(self, parts: Sequence[str] | None = None, fresh: bool = False) -> None:
        """Start `parts` (default: the settings' `stack.parts`) and return when all are healthy.

        Topics, the Influx database and the first rule set are made in between, once Kafka and InfluxDB are up. Parts
        that run already are left alone. `"flink"` means `"jobmanager"` and `"taskmanager"`.

        Raises
        ------
        StackError
            A port is taken (before anything is started), a program is missing, or a part does not become healthy; the
            message holds the end of its log.
        """
        raise NotImplementedError

    def stop(self, parts: Sequence[str] | None = None) -> None:
        """Stop `parts` (default: all, and the supervisor), services first and Kafka last; no process is left."""
        raise NotImplementedError

    def restart(self, part: str) -> None:
        """Stop one part cleanly, start it, and wait until it is healthy."""
        raise NotImplementedError

    def kill(self, part: str, signal: signals.Signals = signals.SIGKILL) -> int:
        """Send a signal to the part's own process (not its supervisor); return the pid it had.

        After a deadly signal the supervisor starts the part again by itself: `wait_healthy` waits for it.
        """
        raise NotImplementedError

    def pid(self, part: str) -> int:
        """Return the pid of the part's own process. Raises `StackError` if it doesn't run."""
        raise NotImplementedError

    def pids(self) -> dict[str, list[int]]:
        """Return every process of the stack by part, Flink's Python workers and the supervisor (`supervisor`) too."""
        raise NotImplementedError

    def wait_healthy(self, part: str, timeout_s: float = 60.0) -> None:
        """Return when the part's health check passes; raises `StackError` with the end of its log otherwise."""
        raise NotImplementedError

    def healthy(self, part: str) -> bool:
        """Whether the part's health check passes now."""
        raise NotImplementedError

    def log_file(self, part: str) -> Path:
        """Return the part's log."""
        return self.folder / "log" / f"{part}.log"

    def log_tail(self, part: str, lines: int = 40) -> str:
        """Return the end of the part's log."""
        raise NotImplementedError
