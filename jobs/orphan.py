"""A Python worker ends when its task manager does.

Flink starts workers through a shell. When a task manager is killed, shell and worker live on, hold the memory of a
whole shard state each, and nobody ends them.
"""

import os
import select
import threading
from pathlib import Path

_watched: set[int] = set()


def end_with_task_manager() -> None:
    """Have this process end when the Java process above it does; nothing where there is none, or no Linux."""
    parent = java_above(os.getpid())
    if parent is None or parent in _watched or not hasattr(os, "pidfd_open"):
        return
    _watched.add(parent)
    handle = os.pidfd_open(parent)
    threading.Thread(target=_end_after, args=(handle,), name="task-manager-watch", daemon=True).start()


def java_above(process: int, proc: Path = Path("/proc")) -> int | None:
    """Return the Java process that started `process`, itself or through one shell; None if there is none."""
    for _ in range(2):
        process = parent_of(process, proc)
        if process <= 1:
            return None
        if (proc / str(process) / "comm").read_text().strip() == "java":
            return process
    return None


def parent_of(process: int, proc: Path = Path("/proc")) -> int:
    """Return the parent's process id, 0 if it can't be told."""
    try:
        # The second field is the name in parentheses, which may hold spaces and parentheses itself.
        return int((proc / str(process) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _end_after(handle: int) -> None:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.poll()  # readable once the process is gone
    os._exit(1)
