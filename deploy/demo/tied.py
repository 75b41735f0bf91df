"""Runs a module as `python -m` would, and ends with its parent: `python -m deploy.demo.tied FD MODULE [ARGUMENT…]`.

FD is the read end of a pipe whose writer the parent holds; when the parent is gone, however it went, the pipe ends.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 3.0
"""For the module to end by itself after SIGTERM, before the process ends without it."""


def _end_with(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


def main() -> None:
    """Watch the lifeline in a thread and run the module."""
    lifeline, module = int(sys.argv[1]), sys.argv[2]
    threading.Thread(target=_end_with, args=(lifeline,), name="lifeline", daemon=True).start()
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
