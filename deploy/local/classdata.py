"""Class data that Java shares between runs (JEP 310, JEP 350): it halves the work of a program's start.

The first clean end of a program writes an archive of the classes that it had loaded; every later start maps it instead
of loading and verifying them again. Java ignores an archive that doesn't fit.
"""

import hashlib
import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

from deploy.local.layout import PARTS_HOME

ARCHIVES = PARTS_HOME / "class-data"
CHECK_TIMEOUT_S = 30.0
"""Java checks an archive in half a second; one that hangs must not hang the end of the stack."""


QUICKLY = ("-XX:TieredStopAtLevel=1",)
"""Compile code quickly rather than thoroughly: for what starts often or does little."""
QUIET = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")
"""Java names hundreds of classes that it can't share."""


class ClassData:
    """Archives by program.

    Parameters
    ----------
    drafts
        Where a program that has no archive writes one as it ends: a folder that no other stack uses.
    archives
        Where archives are kept for all stacks.
    """

    def __init__(self, drafts: Path, archives: Path = ARCHIVES) -> None:
        self._drafts = drafts
        self._archives = archives

    def options(self, program: str, java: Path, class_path: str, *, write: bool = True) -> tuple[str, ...]:
        """Return Java's options for a start of `program`: use its archive, or (if `write`) write one at the end."""
        name = f"{program}-{fingerprint(java, class_path)}"
        archive = self._archives / f"{name}.jsa"
        if archive.exists():
            return (f"-XX:SharedArchiveFile={archive}", *QUIET)
        if not write or not os.access(self._archives.parent, os.W_OK):  # An installation that belongs to somebody else.
            return ()
        self._drafts.mkdir(parents=True, exist_ok=True)
        (self._drafts / f"{name}.json").write_text(json.dumps({"java": str(java), "class_path": class_path}))
        return (f"-XX:ArchiveClassesAtExit={self._drafts / name}.jsa", *QUIET)

    def adopt(self) -> list[str]:
        """Keep the whole drafts for all later starts, delete the others, and return the names of what was kept.

        Call it when the programs have ended. A program that was killed while it wrote left half an archive.
        """
        kept = []
        for note in sorted(self._drafts.glob("*.json")):
            draft = note.with_suffix(".jsa")
            program = json.loads(note.read_text())
            if draft.exists() and is_whole(draft, program["java"], program["class_path"]):
                self._archives.mkdir(parents=True, exist_ok=True)
                # Two stacks may have been the first. Either's will do, but only as a whole.
                moved = self._archives / f".{uuid.uuid4().hex}"
                shutil.move(draft, moved)
                moved.replace(self._archives / draft.name)
                kept.append(draft.stem)
            draft.unlink(missing_ok=True)
            note.unlink()
        return kept


def fingerprint(java: Path, class_path: str) -> str:
    """Return a name for this Java with these jars as they are now: Java takes an archive only with the same ones."""
    files = [Path(os.path.realpath(java)), *map(Path, class_path.split(os.pathsep))]
    seen = [(str(file), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files if file.exists()]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:12]


def is_whole(archive: Path, java: str, class_path: str) -> bool:
    """Whether Java accepts the archive, checksums and all."""
    options = ("-Xshare:on", "-XX:+VerifySharedSpaces", f"-XX:SharedArchiveFile={archive}", "-XX:ErrorFile=/dev/null")
    argv = (java, *options, "-cp", class_path, "-version")
    try:
        done = subprocess.run(argv, capture_output=True, timeout=CHECK_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
