"""A signal must not keep the bridge from going on: the queue that it waits at survives one."""

import ast
import inspect
import subprocess
import sys

from connectors.mqtt import service

SLOW_HANDLER = """
import queue, signal, time
inbox = queue.{kind}()
signal.signal(signal.SIGALRM, lambda *_: time.sleep(0.03))
for _ in range(5):
    signal.setitimer(signal.ITIMER_REAL, 0.005)
    try:
        inbox.get(timeout=0.01)
    except queue.Empty:
        pass
"""


def test_the_inbox_ends_its_wait_whatever_a_signal_handler_does_meanwhile():
    kind = inbox_kind()
    done = subprocess.run([sys.executable, "-c", SLOW_HANDLER.format(kind=kind)], timeout=20, check=False)
    assert done.returncode == 0


def inbox_kind() -> str:
    """Return which class of `queue` the service makes its inbox of."""
    tree = ast.parse(inspect.getsource(service))
    (made,) = [
        node.value.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Attribute)
        and node.target.attr == "_inbox"
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
    ]
    return made
