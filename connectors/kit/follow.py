"""Following a log that is rotated while one looks at it."""

import os
from pathlib import Path
from typing import BinaryIO

MAX_READ_BYTES = 4 * 2**20
"""Read at most so much at a look; the rest comes with the next. Bounds memory where a log grew for long."""


class Follower:
    """Reads what is appended to one file, from its present end on; begins anew with the file that takes its place."""

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
        data = self._read()
        if len(data) < MAX_READ_BYTES and self._was_replaced():
            # What was written between that read and the new name; nothing comes after it.
            data += self._read()
            if self._file is not None:
                self._file.close()
            self._open(at_end=False)
            data += self._read()
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def _read(self) -> bytes:
        return self._file.read(MAX_READ_BYTES) if self._file is not None else b""

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
