import io
import os
import zipfile
from pathlib import Path

from deploy.local.flink.package import package, packed


def names(data: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(data)).namelist()


def test_holds_the_rooms_of_the_job_and_no_others() -> None:
    held = names(packed())
    rooms = {"/".join(name.split("/")[:2]) for name in held}
    assert {"connectors/wire", "connectors/rules", "connectors/alarms", "connectors/__init__.py"} <= rooms
    assert {"jobs/detect.py", "jobs/judge.py", "jobs/windows/shard.py"} <= set(held)
    assert not [name for name in held if name.startswith(("connectors/kit", "connectors/mqtt", "deploy", "simulators"))]
    assert not [name for name in held if "__pycache__" in name]


def test_the_same_sources_give_the_same_bytes_at_any_time(tmp_path: Path) -> None:
    for part in ("jobs", "connectors/wire", "connectors"):
        (tmp_path / part).mkdir(parents=True, exist_ok=True)
        (tmp_path / part / "__init__.py").write_text("")
    before = packed(tmp_path)
    os.utime(tmp_path / "jobs/__init__.py", (1, 1))
    (tmp_path / "jobs/__init__.py").chmod(0o600)
    assert packed(tmp_path) == before
    (tmp_path / "jobs/__init__.py").write_text("x = 1\n")
    assert packed(tmp_path) != before


def test_is_written_whole_into_a_folder_that_need_not_exist(tmp_path: Path) -> None:
    path = package(tmp_path / "a/b/job.zip")
    assert path.read_bytes() == packed()
    assert [one.name for one in path.parent.iterdir()] == ["job.zip"]
