"""The folder of a replay's stack: made, recognised, and emptied before the next replay."""

import shutil
from pathlib import Path

import msgspec

from connectors.kit.settings import Settings
from deploy.local.stack import Stack, StackError

MARK = "replay.json"
"""A folder that holds this file is a replay's, and may be emptied."""
OUTBOXES = "outboxes"
_MADE = ("data", "log", "run", OUTBOXES)


def take_folder(folder: Path, settings: Settings, what: dict[str, object]) -> None:
    """Make a folder ready for a replay: whatever an earlier replay left in it, and still runs there, is ended and gone.

    Parameters
    ----------
    settings
        Of the stack to be.
    what
        What is replayed, written down in the folder.

    Raises
    ------
    StackError
        If the folder holds something else, of which nothing is deleted, or can't be written to.
    """
    if folder.exists() and not (folder / MARK).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StackError(f"{folder} holds something that is no replay's; name a new folder for --own-stack")
    Stack(settings, folder).stop()
    for name in _MADE:
        shutil.rmtree(folder / name, ignore_errors=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).write_bytes(msgspec.json.format(msgspec.json.encode(what), indent=2) + b"\n")
    except OSError as error:
        raise StackError(f"{folder} can't be written to: {error.strerror}") from error
