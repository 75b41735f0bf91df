"""A mosquitto of a test's own, which can be killed, frozen and started again."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

_WAIT_S = 20.0
"""A loaded machine starts a broker late."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """The broker as a process. Without `persistence`, a restart forgets sessions, queues and retained messages."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "log_dest stderr", *options]
        if os.geteuid() == 0:
            # It would give up root, and then could not read a test's own files.
            lines.append("user root")
        if not any(line.startswith("max_queued_messages") for line in lines):
            lines.append("max_queued_messages 100000")
        # It must stand before whatever it is about; the sort keeps the order of the others.
        lines.sort(key=lambda line: not line.startswith("per_listener_settings"))
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it and wait until it listens."""
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([program, "-c", str(self._config)], stdout=log, stderr=log)
        until = time.monotonic() + _WAIT_S
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, f"mosquitto ended: {self._log.read_text()}"
            time.sleep(0.05)
        raise AssertionError("mosquitto doesn't listen")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; wait for its end if that is one."""
        assert self._process is not None
        self._process.send_signal(number)
        if number in {signal.SIGKILL, signal.SIGTERM}:
            self._process.wait(_WAIT_S)

    def restart(self, number: signal.Signals) -> None:
        """End it by a signal and start it again on the same port."""
        self.send(number)
        self.start()

    def stop(self) -> None:
        """End it, frozen or not."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(_WAIT_S)
