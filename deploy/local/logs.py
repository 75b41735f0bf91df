"""Following several logs at once."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from connectors.kit.follow import Follower

LOOK_S = 0.25
"""How often the files are looked at: a person waits no longer for a line, and an idle look costs microseconds."""


def follow_logs(files: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Yield (name, line) for ever, as lines come; a file may be absent at first."""
    followers = {name: Follower(path) for name, path in files.items()}
    while True:
        quiet = True
        for name, follower in followers.items():
            for line in follower.lines():
                quiet = False
                yield name, line
        if quiet:
            time.sleep(LOOK_S)
