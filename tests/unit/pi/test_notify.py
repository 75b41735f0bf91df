"""sd_notify."""

import os
import socket
from pathlib import Path

import pytest

from deploy.raspberrypi.notify import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears(tmp_path: Path, abstract: bool) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        name = f"@tidemark-pi-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
        systemd.bind(name.replace("@", "\0", 1) if abstract else name)
        notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "60000000"})
        notifier.ready()
        notifier.alive("all well")
        notifier.stopping()
        assert [systemd.recv(200) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1\nSTATUS=all well", b"STOPPING=1"]
        assert notifier.watchdog_s == 30.0


def test_a_deaf_systemd_ends_no_readings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")}).alive("well")
    assert "can't be told WATCHDOG=1" in caplog.text


@pytest.mark.parametrize(
    "environ", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}]
)
def test_without_systemd_nothing_happens(environ: dict[str, str]) -> None:
    notifier = Notifier(environ)
    notifier.ready()
    assert notifier.watchdog_s is None
