"""Waiting for the word to start."""

import os
import time
from collections.abc import Callable
from pathlib import Path

STEP_S = 0.05


def wait_for(file: Path, parent: Callable[[], int] = os.getppid, sleep: Callable[[float], None] = time.sleep) -> None:
    """Return when `file` is there.

    Raises
    ------
    InterruptedError
        If the process that started this one has gone: nobody would ever give the word.
    """
    starter = parent()
    while not file.exists():
        if parent() != starter:
            raise InterruptedError(f"who was to write {file} has gone")
        sleep(STEP_S)
