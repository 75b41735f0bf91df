"""Following logs that are rotated while one looks at them."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

LOOK_S = 0.25
"""How often the files are looked at: a person waits no longer for a line, and an idle look costs microseconds."""


class _Follower:
    """Reads what is appended to one file; begins anew with the file that takes its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._open(at_end=True)

    def _open(self, at_end: bool) -> None:
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            self._file = None
            return
        if at_end:
            self._file.seek(0, os.SEEK_END)

    def _was_replaced(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False  # between two names; the next look sees the new one
        if self._file is None:
            return True
        ours = os.fstat(self._file.fileno())
        return ours.st_ino != there.st_ino or there.st_size < self._file.tell()

    def lines(self) -> list[str]:
        """Return the whole lines that came since the last call."""
        data = self._file.read() if self._file is not None else b""
        if self._was_replaced():
            if self._file is not None:
                self._file.close()
            self._open(at_end=False)
            data += self._file.read() if self._file is not None else b""
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in whole]


def follow_logs(files: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Yield (name, line) for ever, as lines come; a file may be absent at first."""
    followers = {name: _Follower(path) for name, path in files.items()}
    while True:
        quiet = True
        for name, follower in followers.items():
            for line in follower.lines():
                quiet = False
                yield name, line
        if quiet:
            time.sleep(LOOK_S)
