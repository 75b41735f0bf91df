from pathlib import Path

import pytest
import yaml

from connectors.kit.settings import FlinkSettings, Settings, StackSettings
from deploy.local.flink.conf import write_flink_conf
from deploy.local.flink.distribution import FlinkMissing, find_distribution, find_java


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "flink"
    (home / "lib").mkdir(parents=True)
    (home / "conf").mkdir()
    for name in ("flink-dist-2.3.0.jar", "a.jar", "z.jar"):
        (home / "lib" / name).touch()
    (home / "conf/config.yaml").write_text("env: {java: {opts: {all: --add-opens=x/y=ALL-UNNAMED --add-opens=z=A}}}\n")
    return home


def test_everything_listens_on_loopback_and_at_the_settings_ports(tmp_path: Path, home: Path) -> None:
    settings = Settings(
        flink=FlinkSettings(rest="127.0.0.1:1234", home=home), stack=StackSettings(flink_rpc_port=2345, task_slots=3)
    )
    commands = write_flink_conf(settings, tmp_path / "data")
    written = yaml.safe_load((commands.conf / "config.yaml").read_text())
    hosts = {value for key, value in written.items() if key.endswith(("host", "address"))}
    assert hosts == {"127.0.0.1"}
    assert (written["rest.port"], written["rest.bind-port"], written["jobmanager.rpc.port"]) == (1234, "1234", 2345)
    assert written["taskmanager.numberOfTaskSlots"] == 3
    assert written["web.submit.enable"] is False
    assert set(commands.ports) == {1234, 2345}


def test_checkpoints_are_durable_and_beside_the_data(tmp_path: Path, home: Path) -> None:
    commands = write_flink_conf(Settings(flink=FlinkSettings(home=home)), tmp_path / "data")
    written = yaml.safe_load((commands.conf / "config.yaml").read_text())
    assert written["execution.checkpointing.storage"] == "filesystem"
    assert written["execution.checkpointing.dir"] == (tmp_path / "data/checkpoints").as_uri()
    assert (tmp_path / "data/savepoints").is_dir()


def test_programs_are_java_itself_with_the_shipped_options_and_flink_dist_last(tmp_path: Path, home: Path) -> None:
    commands = write_flink_conf(Settings(flink=FlinkSettings(home=home)), tmp_path / "data")
    for command in (commands.job_manager, commands.task_manager):
        assert command.argv[0].endswith("/java")
        assert "--add-opens=x/y=ALL-UNNAMED" in command.argv
        path = command.argv[command.argv.index("-classpath") + 1]
        assert [Path(jar).name for jar in path.split(":")] == ["a.jar", "z.jar", "flink-dist-2.3.0.jar"]
        assert command.env["FLINK_CONF_DIR"] == str(commands.conf)
    assert commands.task_manager.argv[-3].endswith("TaskManagerRunner")


def test_the_same_settings_write_the_same_files(tmp_path: Path, home: Path) -> None:
    settings = Settings(flink=FlinkSettings(home=home))
    first = write_flink_conf(settings, tmp_path / "data")
    text = (first.conf / "config.yaml").read_text()
    assert write_flink_conf(settings, tmp_path / "data") == first
    assert (first.conf / "config.yaml").read_text() == text


def test_a_missing_distribution_or_java_is_named_with_its_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FlinkMissing, match="holds no Flink distribution"):
        find_distribution(tmp_path)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(FlinkMissing, match="install Java 17"):
        find_java()
