"""The demo's own processes beside the stack: the gateways, and the webhook's receiver."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from connectors.kit.settings import SETTINGS_VARIABLE
from deploy.local.layout import PROJECT

STOP_S = 10.0
"""A process that was asked to end and doesn't is killed after this, so that nothing outlives the demo."""


class Child:
    """A Python module as a process whose lines on stdout are JSON objects; its stderr goes to a log.

    It ends with this process, also when that is killed.

    Parameters
    ----------
    heard
        Called for each line, in a thread.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        settings_file: Path,
        log: Path,
        heard: Callable[[dict[str, Any]], None],
    ) -> None:
        self.module = module
        self.log = log
        self._heard = heard
        log.parent.mkdir(parents=True, exist_ok=True)
        read_end, lifeline = os.pipe()
        self._lifeline: int | None = lifeline
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.demo.tied", str(read_end), module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                cwd=PROJECT,
                env=kept | {SETTINGS_VARIABLE: str(settings_file)},
                text=True,
                pass_fds=[read_end],
            )
        os.close(read_end)
        self._reader = threading.Thread(target=self._read, name=module, daemon=True)
        self._reader.start()

    def tell(self, line: str) -> None:
        """Write a line to its stdin; nothing happens if it has ended, which `ended` says."""
        if self.process.stdin is None:
            return
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return

    def ended(self) -> int | None:
        """Return its exit code; None while it runs."""
        code = self.process.poll()
        if code is not None:
            self._reader.join(STOP_S)
        return code

    def stop(self) -> None:
        """End it and wait."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(STOP_S)
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def log_tail(self, lines: int = 15) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _read(self) -> None:
        for line in self.process.stdout or ():
            try:
                said = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(said, dict):
                self._heard(said)
