"""What systemd wants to hear of a service: ready, alive, stopping (sd_notify(3)).

The protocol is a datagram a message; the packages that wrap it have had no release for years.
"""

import logging
import os
import socket
from collections.abc import Mapping

_LOG = logging.getLogger("tidemark.pi")


class Notifier:
    """Sends to the socket that systemd names in the environment; does nothing where there is none.

    Attributes
    ----------
    watchdog_s
        How often to say `alive` at least: half of what the unit allows; None without a watchdog.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        usec = environ.get("WATCHDOG_USEC", "")
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(usec) / 2e6 if usec.isdigit() and int(usec) and ours else None

    def ready(self) -> None:
        """The start is over."""
        self._send("READY=1")

    def alive(self, status: str = "") -> None:
        """Feed the watchdog; `status` is what `systemctl status` shows."""
        self._send("WATCHDOG=1" + (f"\nSTATUS={status}" if status else ""))

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A leading @ stands for the abstract namespace's zero byte.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagrams:
                datagrams.sendto(message.encode(), address)
        except OSError as error:
            # Readings matter more; if systemd stays deaf, its watchdog decides.
            _LOG.warning("systemd can't be told %s: %s", message.partition("\n")[0], error)
