"""Checkpoints and savepoints that a job can resume from, in the embedded cluster's folder."""

import shutil
from dataclasses import dataclass
from pathlib import Path

KEEP = 3
"""Savepoints and checkpoints of ended jobs that are kept: as many as Flink keeps of a running one."""


@dataclass(frozen=True)
class Snapshot:
    """A whole checkpoint or savepoint; one without its `_metadata`, which is written last, is none."""

    path: Path
    written_ns: int

    @property
    def uri(self) -> str:
        """Return it as Flink takes it."""
        return self.path.as_uri()


def snapshots(folder: Path) -> list[Snapshot]:
    """Return those below `folder`, newest first: `checkpoints/<job>/chk-<n>` and `savepoints/savepoint-<…>`."""
    files = [*folder.glob("checkpoints/*/chk-*/_metadata"), *folder.glob("savepoints/savepoint-*/_metadata")]
    found = []
    for file in files:
        try:
            found.append(Snapshot(file.parent, file.stat().st_mtime_ns))
        except FileNotFoundError:  # a running job has just replaced it by a newer one
            continue
    return sorted(found, key=lambda each: -each.written_ns)


def forget_others(folder: Path, job_id: str, keep: int = KEEP) -> list[Path]:
    """Delete what `job_id` did not write, but for the newest `keep` of them; return what was deleted.

    Flink itself looks after the checkpoints of the job that runs.
    """
    own = folder / "checkpoints" / job_id
    others = [each.path for each in snapshots(folder) if each.path.parent != own]
    kept = set(others[:keep])
    deleted = []
    for path in [*folder.glob("checkpoints/*/chk-*"), *folder.glob("savepoints/savepoint-*")]:
        if path.parent != own and path not in kept:
            shutil.rmtree(path, ignore_errors=True)
            deleted.append(path)
    for job in folder.glob("checkpoints/*"):
        if job != own and not any(path.parent == job for path in kept):
            shutil.rmtree(job, ignore_errors=True)
    return deleted
