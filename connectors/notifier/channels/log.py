"""Notifications as JSON lines in a file."""

import os
from pathlib import Path

import msgspec

from connectors.notifier.channels import DELIVERED, Outcome, Reason
from connectors.notifier.message import Message
from connectors.notifier.subscriptions import LogChannel


class LogSender:
    """Appends to one file. It is opened for each line, so that log rotation needs no word to us."""

    def __init__(self, spec: LogChannel) -> None:
        self._path: Path = spec.path

    def send(self, message: Message) -> Outcome:
        """Append a line and wait until the disk has it."""
        line = msgspec.json.encode({"id": message.id, "title": message.title, "event": msgspec.Raw(message.body)})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return Outcome(Reason.FAILED, f"{self._path}: {error.strerror}")
        return DELIVERED

    def close(self) -> None:
        """Nothing is kept open."""
