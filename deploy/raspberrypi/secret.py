"""The password, from a file that nobody else may read."""

import os
import stat
from pathlib import Path


class SecretError(Exception):
    """The password can't be used; the message names the file, why, and the mend. It never holds the password."""


def read_password(path: Path) -> str:
    """Return the first line of `path`.

    Raises
    ------
    SecretError
        If the file can't be read, is empty, holds more than a line, or others than its owner may read or write it.
    """
    try:
        # Mode and content of the same open file, so that it can't be swapped in between.
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(4096)
    except OSError as error:
        mend = "write the gateway's password into it, owned by the user that runs tidemark-pi, mode 0600"
        raise SecretError(f"{path}: can't be read ({error.strerror}); {mend}") from error
    if mode & 0o077:
        raise SecretError(f"{path}: mode {mode:04o} lets others at the password; run: chmod 600 {path}")
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError as error:
        raise SecretError(f"{path}: is not UTF-8; write the password as plain text") from error
    if len(lines) != 1 or not lines[0]:
        raise SecretError(f"{path}: has {len(lines)} lines; put the password alone on one line")
    return lines[0]
