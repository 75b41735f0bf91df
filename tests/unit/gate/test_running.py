"""Commands after `tidemark up --listen`: they know of the listener, and log in where they have to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.kit.settings import MqttSettings, Settings, StackSettings
from deploy.local.effective import effective, to_toml, write_private
from deploy.local.gate import running
from deploy.local.gate.running import as_started, broker_pid, with_login
from deploy.local.layout import Layout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stack that was started with a listener."""
    settings = Settings(stack=StackSettings(listen="10.0.0.5", listen_names=["hall.example"]))
    folder = tmp_path / "var"
    write_private(folder / "settings.toml", to_toml(effective(settings, folder)))
    write_private(folder / "secrets/service-password", "a secret\n")
    return folder


def plain(folder: Path, **mqtt: object) -> Settings:
    return Settings(mqtt=MqttSettings.model_validate(mqtt), stack=StackSettings(data=folder))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "broker_pid", lambda _: 7)


def test_effective_settings_have_the_login_and_the_files_to_watch(tmp_path: Path) -> None:
    found = effective(Settings(stack=StackSettings(listen="0.0.0.0")), tmp_path)
    assert found.mqtt.username == "tidemark"
    assert found.mqtt.password_file == tmp_path / "secrets/service-password"
    assert found.monitor.broker_log_file == tmp_path / "log/mosquitto.log"
    assert effective(found, tmp_path) == found


@pytest.mark.parametrize("stack", [StackSettings(), StackSettings(listen="0.0.0.0", parts=["kafka"])])
def test_without_a_listener_nothing_changes(tmp_path: Path, stack: StackSettings) -> None:
    found = effective(Settings(stack=stack), tmp_path)
    assert found.mqtt == MqttSettings()
    assert found.monitor.broker_log_file is None


def test_a_running_broker_keeps_its_listener(folder: Path, runs: None) -> None:
    found = as_started(Settings(stack=StackSettings(listen="10.9.9.9")), folder)
    assert (found.stack.listen, found.stack.listen_names) == ("10.0.0.5", ["hall.example"])


def test_of_one_that_ended_only_where_it_is_asked_for(folder: Path) -> None:
    settings = plain(folder)
    assert as_started(settings, folder) is settings
    assert as_started(settings, folder, also_ended=True).stack.listen == "10.0.0.5"
    named = Settings(stack=StackSettings(listen="10.9.9.9"))
    assert as_started(named, folder, also_ended=True) is named


@pytest.mark.parametrize("text", [None, "", "not toml [", "[stack]\nlisten = 7\n", "[stack]\n"])
def test_a_folder_that_says_nothing(tmp_path: Path, runs: None, text: str | None) -> None:
    if text is not None:
        (tmp_path / "settings.toml").write_text(text)
    settings = plain(tmp_path)
    assert as_started(settings, tmp_path) is settings
    assert with_login(settings) is settings


def test_commands_log_in_at_the_stacks_own_broker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = with_login(plain(folder))
    assert (found.mqtt.username, found.mqtt.secret()) == ("tidemark", "a secret")
    monkeypatch.chdir(folder.parent)
    assert with_login(plain(Path("var"))).mqtt.secret() == "a secret"


@pytest.mark.parametrize(
    "mqtt", [{"port": 1883}, {"host": "broker.example"}, {"username": "mine"}, {"tls": True}, {"host": "localhost"}]
)
def test_and_at_no_other(folder: Path, mqtt: dict[str, object]) -> None:
    settings = plain(folder, **mqtt)
    assert with_login(settings) is settings


def test_another_program_with_the_brokers_old_pid_is_left_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.make()
    layout.pid_file("mosquitto").write_text(f"{os.getpid()}\n")
    assert broker_pid(layout) is None


def test_a_start_on_loopback_alone_loads_no_cryptography() -> None:
    """Each command would take a tenth of a second longer."""
    modules = "deploy.command.stack, deploy.local.stack, deploy.local.programs, deploy.local.gate.running"
    check = f"import sys, {modules}; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], timeout=60, check=False).returncode == 0
