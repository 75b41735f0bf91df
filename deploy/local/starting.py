"""Bringing parts up: each as soon as what it needs is healthy, all that can at the same time."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from connectors.kit.settings import Settings
from deploy.local.part import DATABASE, TOPICS, Part

POLL_S = 0.1
"""How often a health check is tried while a part starts."""

NOT_RUNNING = "not running"


ATTEMPTS = 3
"""How often a part may end before its start counts as failed: what gave up on a busy machine works the second time."""
FOR_GOOD = (2, 127)
"""Exit codes that no further attempt changes: settings that can't be used, a program that is not there."""


@dataclass(frozen=True)
class Ending:
    """When a part ended, in seconds since 1970, and its exit code."""

    at: int
    exit_code: int


class _Attempts:
    """Counts how often a part ended, by the times at which it did."""

    def __init__(self, before: Ending | None) -> None:
        self._before = before
        self._ends: set[int] = set()

    def are_spent(self, now: Ending | None) -> bool:
        if now is None or now == self._before:
            return False
        self._ends.add(now.at)
        return now.exit_code in FOR_GOOD or len(self._ends) >= ATTEMPTS


class StartFailed(Exception):
    """A part or step did not come up; `part` is whose log tells more."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part = part


class Cancelled(Exception):
    """Another part failed, or the user gave up."""


class Starting:
    """One start of several parts.

    Parameters
    ----------
    parts
        What to start.
    settings
        Effective settings, for the steps between the parts.
    launch
        Starts a part without waiting for it.
    problem
        Says why a part is not healthy; None when it is. `NOT_RUNNING` when it has no process.
    ending
        When a part last ended by itself and with which exit code; None for never.
    echo
        Told what is up.
    """

    def __init__(
        self,
        parts: list[Part],
        settings: Settings,
        *,
        launch: Callable[[Part], None],
        problem: Callable[[Part], str | None],
        ending: Callable[[Part], Ending | None],
        echo: Callable[[str], None],
    ) -> None:
        self._parts = {part.name: part for part in parts}
        self._settings = settings
        self._launch = launch
        self._problem = problem
        self._ending = ending
        self._echo = echo
        self._cancel = threading.Event()
        self._began = time.monotonic()
        self._done = {name: threading.Event() for name in [*self._parts, *self._steps()]}

    def _steps(self) -> dict[str, tuple[str, Callable[[Settings], list[str]]]]:
        """Return the steps that these parts call for: name → the part each needs, and what it does."""
        from deploy.bootstrap import make_database, make_topics

        needed = {name for part in self._parts.values() for name in part.needs}
        steps: dict[str, tuple[str, Callable[[Settings], list[str]]]] = {}
        if "kafka" in self._parts or TOPICS in needed:  # a user's own Kafka needs our topics too
            steps[TOPICS] = ("kafka", make_topics)
        if "influxd" in self._parts:
            steps[DATABASE] = ("influxd", make_database)
        return steps

    def run(self) -> None:
        """Start everything and return when all is healthy.

        Raises
        ------
        StartFailed
            With the first failure; what has started by then runs on.
        """
        if not self._done:
            return
        with ThreadPoolExecutor(len(self._done), "start") as pool:
            futures = [pool.submit(self._bring_up, part) for part in self._parts.values()]
            futures += [pool.submit(self._take_step, name, *how) for name, how in self._steps().items()]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:  # also on Ctrl-C
                self._cancel.set()
        self._raise_first(futures)

    def _raise_first(self, futures: list[Future[None]]) -> None:
        errors = [error for future in futures if (error := future.exception()) is not None]
        for error in errors:
            if not isinstance(error, Cancelled):
                raise error

    def _bring_up(self, part: Part) -> None:
        self._wait_for(part.needs)
        attempts = _Attempts(self._ending(part))
        try:
            self._launch(part)
        except Exception as error:
            raise StartFailed(part.name, f"{part.name} can't be started: {error}") from error
        deadline = time.monotonic() + part.start_s
        while (problem := self._problem(part)) is not None:
            if problem == NOT_RUNNING and attempts.are_spent(self._ending(part)):
                raise StartFailed(part.name, f"{part.name} ended while it was starting")
            if time.monotonic() > deadline:
                raise StartFailed(part.name, f"{part.name} is not healthy after {part.start_s:.0f} s: {problem}")
            self._pause()
        self._finish(part.name, part.address)

    def _take_step(self, name: str, need: str, make: Callable[[Settings], list[str]]) -> None:
        self._wait_for((need,))
        try:
            made = make(self._settings)
        except Exception as error:
            raise StartFailed(need, f"{name} can't be made: {error}") from error
        self._finish(name, ", ".join(made))

    def _wait_for(self, needs: tuple[str, ...]) -> None:
        for need in needs:
            # What is not started here runs already, or is the user's own.
            while need in self._done and not self._done[need].wait(POLL_S):
                self._check_cancelled()
        self._check_cancelled()

    def _pause(self) -> None:
        if self._cancel.wait(POLL_S):
            raise Cancelled

    def _check_cancelled(self) -> None:
        if self._cancel.is_set():
            raise Cancelled

    def _finish(self, name: str, detail: str) -> None:
        self._echo(f"{time.monotonic() - self._began:5.1f} s  {name:<16} {detail}")
        self._done[name].set()
