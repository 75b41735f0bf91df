import zipfile
from pathlib import Path

import pytest
import yaml

from connectors.kit.settings import FlinkSettings, Settings, StackSettings
from deploy.local.classdata import ClassData
from deploy.local.flink import distribution
from deploy.local.flink.conf import REPORTER_CLASS, FlinkCommands, write_flink_conf
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


def write(settings: Settings, folder: Path) -> FlinkCommands:
    return write_flink_conf(settings, folder / "data", ClassData(folder / "class-data", folder / "archives"))


def test_everything_listens_on_loopback_and_at_the_settings_ports(tmp_path: Path, home: Path) -> None:
    settings = Settings(
        flink=FlinkSettings(rest="127.0.0.1:1234", home=home), stack=StackSettings(flink_rpc_port=2345, task_slots=3)
    )
    commands = write(settings, tmp_path)
    written = yaml.safe_load((commands.conf / "config.yaml").read_text())
    hosts = {value for key, value in written.items() if key.endswith(("host", "address"))}
    assert hosts == {"127.0.0.1"}
    assert (written["rest.port"], written["rest.bind-port"], written["jobmanager.rpc.port"]) == (1234, "1234", 2345)
    assert written["taskmanager.numberOfTaskSlots"] == 3
    assert written["web.submit.enable"] is False
    assert set(commands.ports) == {1234, 2345}


def test_flinks_metrics_are_served_only_where_a_port_is_named(tmp_path: Path, home: Path) -> None:
    flink = FlinkSettings(home=home)
    quiet = write(Settings(flink=flink), tmp_path / "quiet")
    assert "metrics.reporter" not in (quiet.conf / "config.yaml").read_text()
    commands = write(Settings(flink=flink, stack=StackSettings(flink_metrics_port=3456)), tmp_path)
    written = yaml.safe_load((commands.conf / "config.yaml").read_text())
    assert {key: value for key, value in written.items() if key.startswith("metrics.")} == {
        "metrics.reporter.prometheus.factory.class": "org.apache.flink.metrics.prometheus.PrometheusReporterFactory",
        "metrics.reporter.prometheus.port": "3456-3457",
    }
    assert {3456, 3457} <= set(commands.ports)


def test_the_distribution_holds_the_reporter_that_is_named() -> None:
    (jar,) = find_distribution().home.glob("plugins/metrics-prometheus/flink-metrics-prometheus-*.jar")
    with zipfile.ZipFile(jar) as content:
        factories = content.read("META-INF/services/org.apache.flink.metrics.reporter.MetricReporterFactory").decode()
    assert REPORTER_CLASS in factories.splitlines()


def test_checkpoints_are_durable_and_beside_the_data(tmp_path: Path, home: Path) -> None:
    commands = write_flink_conf(
        Settings(flink=FlinkSettings(home=home)), tmp_path / "data", ClassData(tmp_path / "class-data")
    )
    written = yaml.safe_load((commands.conf / "config.yaml").read_text())
    assert written["execution.checkpointing.storage"] == "filesystem"
    assert written["execution.checkpointing.dir"] == (tmp_path / "data/checkpoints").as_uri()
    assert (tmp_path / "data/savepoints").is_dir()


def test_programs_are_java_itself_with_the_connector_and_the_shipped_jars(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "connector.jar").touch()
    monkeypatch.setattr(distribution, "CONNECTOR", tmp_path / "connector.jar")
    commands = write_flink_conf(
        Settings(flink=FlinkSettings(home=home)), tmp_path / "data", ClassData(tmp_path / "class-data")
    )
    for command in (commands.job_manager, commands.task_manager):
        assert command.argv[0].endswith("/java")
        assert "--add-opens=x/y=ALL-UNNAMED" in command.argv
        path = command.argv[command.argv.index("-classpath") + 1]
        assert [Path(jar).name for jar in path.split(":")] == [
            "connector.jar",
            "a.jar",
            "z.jar",
            "flink-dist-2.3.0.jar",
        ]
        assert command.env["FLINK_CONF_DIR"] == str(commands.conf)
    assert commands.task_manager.argv[-3].endswith("TaskManagerRunner")


def test_the_same_settings_write_the_same_files(tmp_path: Path, home: Path) -> None:
    settings = Settings(flink=FlinkSettings(home=home))
    first = write(settings, tmp_path)
    text = (first.conf / "config.yaml").read_text()
    assert write(settings, tmp_path) == first
    assert (first.conf / "config.yaml").read_text() == text


def test_a_missing_distribution_or_java_is_named_with_its_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FlinkMissing, match="holds no Flink distribution"):
        find_distribution(tmp_path)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(FlinkMissing, match="install Java 17"):
        find_java()


def test_the_client_loads_the_planner_itself_and_unpacks_it_once(tmp_path: Path, home: Path) -> None:
    loader = home / "lib/flink-table-planner-loader-2.3.0.jar"
    with zipfile.ZipFile(loader, "w") as packed:
        packed.writestr("flink-table-planner.jar", b"planner")
    found = find_distribution(home)
    for _ in range(2):
        names = [Path(jar).name for jar in found.client_class_path(tmp_path).split(":")]
        assert names[0] == "flink-table-planner-2.3.0.jar"
        assert loader.name not in names
        loader.write_bytes(b"a second unpacking would fail")
    assert (tmp_path / "flink-table-planner-2.3.0.jar").read_bytes() == b"planner"


def test_a_distribution_without_a_loader_is_taken_as_it_is(tmp_path: Path, home: Path) -> None:
    found = find_distribution(home)
    assert found.client_class_path(tmp_path) == found.cluster_class_path()


def test_a_stack_for_minutes_compiles_quickly(tmp_path: Path, home: Path) -> None:
    quick = "-XX:TieredStopAtLevel=1"
    for short in (False, True):
        settings = Settings(flink=FlinkSettings(home=home), stack=StackSettings(short_lived=short))
        commands = write(settings, tmp_path)
        assert quick in commands.job_manager.argv
        assert (quick in commands.task_manager.argv) is short
