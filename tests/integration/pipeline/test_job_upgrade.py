"""The job is stopped under load and goes on from its savepoint with other code."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.flink.package import PROJECT, ROOMS
from deploy.local.flink.submit import SubmitFailed, is_wanted, stop, submit
from tests.support.load import load, settle
from tests.support.observe import wait_until
from tests.support.pipeline import Pipeline

pytestmark = pytest.mark.integration


def changed_project(folder: Path, file: str, old: str, new: str) -> Path:
    """Return a copy of what the job is made of, with one text of one file replaced."""
    for room in ROOMS:
        shutil.copytree(PROJECT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "connectors/__init__.py", folder / "connectors")
    source = (folder / file).read_text()
    assert old in source
    (folder / file).write_text(source.replace(old, new))
    return folder


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python with Flink, msgspec and numpy, and without Tidemark."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # A path named in a .pth is searched, but the .pth files in it, Tidemark's own, are not read.
    (packages / "flink.pth").write_text(_site_packages() + "\n")
    python = str(folder / "bin/python")
    seen = subprocess.run([python, "-c", "import jobs"], cwd=folder, capture_output=True, text=True, check=False)
    assert "No module named 'jobs'" in seen.stderr
    return python


def _site_packages() -> str:
    import msgspec

    return str(Path(msgspec.__file__).parents[1])


def test_a_savepoint_is_restored_with_changed_detectors_in_workers_without_tidemark(
    pipeline: Pipeline, outboxes: Path, tmp_path: Path, bare_python: str
) -> None:
    changed = changed_project(tmp_path / "changed", "jobs/detectors/limits.py", "value {evidence", "reading {evidence")
    forgetful = changed_project(tmp_path / "forgetful", "jobs/operators.py", '"judge")', '"other")')

    with load(pipeline, outboxes, "upgrade", windows=15) as one:
        wait_until(lambda: any(pipeline.alerts_of(gateway) for gateway in one.gateways), 60, "an alert of the old code")
        savepoint = stop(pipeline.settings, print, by_hand=True)
        assert savepoint is not None
        assert not is_wanted(pipeline.settings), "the keeper would start the old code again"
        with pytest.raises(SubmitFailed, match=r"refused: .* holds state of judge"):
            submit(pipeline.settings, echo=print, project=forgetful)
        done = submit(pipeline.settings, python=bare_python, echo=print, project=changed)
        assert done.restored_from is not None
        assert Path(done.restored_from).name == Path(savepoint).name
        settle(pipeline, one)
        details = {alert.detail for gateway in one.gateways for alert in pipeline.alerts_of(gateway)}
    assert any("reading" in detail for detail in details), f"the changed code never ran: {details}"
    assert any("value" in detail for detail in details), f"nothing was judged before the stop: {details}"


def test_t22_a_second_job_is_refused_while_one_runs(pipeline: Pipeline) -> None:
    with pytest.raises(SubmitFailed, match=r"running already .* tidemark job stop"):
        submit(pipeline.settings)
