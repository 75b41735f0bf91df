"""The job as a part: a start waits for it, but not for one that somebody stopped by hand."""

from pathlib import Path

from connectors.kit.settings import FlinkSettings, Settings, StackSettings
from deploy.local.layout import Layout
from deploy.local.ports import free_ports
from deploy.local.programs.services import service_parts


def test_a_job_stopped_by_hand_is_not_waited_for(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    settings = Settings(flink=FlinkSettings(rest=f"127.0.0.1:{port}"), stack=StackSettings(data=tmp_path))
    (job,) = [part for part in service_parts(settings, Layout(tmp_path)) if part.name == "job"]
    assert "does not answer" in (job.check() or "")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "job.stopped").touch()
    assert job.check() is None
