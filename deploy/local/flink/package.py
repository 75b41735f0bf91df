"""`job.zip`: what the job's workers import, and nothing else of Tidemark."""

import io
import zipfile
from pathlib import Path

ROOMS = ("jobs", "connectors/wire", "connectors/rules", "connectors/alarms")
PROJECT = Path(__file__).resolve().parents[3]
EPOCH = (1980, 1, 1, 0, 0, 0)


def packed(project: Path = PROJECT) -> bytes:
    """Return the zip; the same sources give the same bytes, whenever and wherever it is made."""
    files = [project / "connectors/__init__.py"]
    files += [file for room in ROOMS for file in (project / room).rglob("*") if _belongs(file)]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(files):
            entry = zipfile.ZipInfo(file.relative_to(project).as_posix(), EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
    return buffer.getvalue()


def package(target: Path, project: Path = PROJECT) -> Path:
    """Write the zip to `target`, whole or not at all, and return its path."""
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(target.name + ".new")
    draft.write_bytes(packed(project))
    draft.replace(target)
    return target


def _belongs(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts and file.suffix in (".py", ".yaml")
