"""The demo's subscriber: the webhook's receiver as a process of its own, subscribed to everything."""

import base64
import json
import secrets
import threading
import time
from pathlib import Path
from typing import Any

from deploy.demo.processes import Child
from deploy.local.effective import write_private

_START_S = 20.0
"""The receiver listens within a second; a busy machine may take longer, a broken one for ever."""


class SubscriberFailed(Exception):
    """The receiver doesn't run; the message holds the end of its log."""


class Subscriber:
    """Makes a secret, starts the receiver, and reads what it wrote down.

    Parameters
    ----------
    folder
        The demo's: the secret, the subscriptions' file and what was received lie there.
    settings_file
        Of the stack, for the process's environment.
    """

    def __init__(self, folder: Path, settings_file: Path) -> None:
        self._folder = folder
        self._settings_file = settings_file
        self._received = folder / "webhooks.jsonl"
        self._child: Child | None = None
        self._port: int | None = None
        self._listening = threading.Event()

    def start(self) -> None:
        """Start the receiver and subscribe it.

        Raises
        ------
        SubscriberFailed
            If it doesn't come up.
        """
        secret_file = self._folder / "webhook.secret"
        write_private(secret_file, "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
        arguments = ["--secret-file", str(secret_file), "--out", str(self._received)]
        log = self._folder / "log" / "receiver.log"
        self._child = Child("deploy.demo.receiver", arguments, self._settings_file, log, self._heard)
        deadline = time.monotonic() + _START_S
        while not self._listening.wait(0.05):
            if self._child.ended() is not None or time.monotonic() > deadline:
                raise SubscriberFailed(f"the webhook's receiver does not start:\n{self._child.log_tail()}")
        url = f"http://127.0.0.1:{self._port}/alerts"
        write_private(self._folder / "subscriptions.yaml", subscriptions(url, secret_file))

    def stop(self) -> None:
        """End the receiver."""
        if self._child is not None:
            self._child.stop()

    def problem(self) -> str:
        """Return why the receiver no longer runs; empty while it does."""
        if self._child is not None and self._child.ended() is not None:
            return f"the webhook's receiver ended early:\n{self._child.log_tail()}"
        return ""

    def pids(self) -> list[int]:
        """Return its process."""
        return [] if self._child is None else [self._child.process.pid]

    def ids(self) -> set[str]:
        """Return the event ids of all verified webhooks so far."""
        if not self._received.exists():
            return set()
        # The last line may still be on its way to the disk.
        whole = self._received.read_text().rpartition("\n")[0]
        return {str(json.loads(line)["event_id"]) for line in whole.splitlines()}

    def _heard(self, said: dict[str, Any]) -> None:
        if "listening" in said:
            self._port = int(said["listening"])
            self._listening.set()


def subscriptions(url: str, secret_file: Path) -> str:
    """Return the file that subscribes a webhook to every event."""
    webhook = {"type": "webhook", "url": url, "secret_file": str(secret_file)}
    # JSON is YAML, and quotes what needs quoting.
    return json.dumps({"subscriptions": [{"name": "demo", "channel": webhook}]}, indent=2) + "\n"
