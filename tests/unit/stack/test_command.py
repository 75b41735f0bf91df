import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.kit.service import Unreachable
from connectors.kit.settings import SettingsError
from deploy.command import main as command
from deploy.command.exits import CommandFailed, exit_code
from deploy.local.flink.distribution import FlinkMissing
from deploy.local.flink.rest import ClusterRefused, ClusterUnreachable
from deploy.local.flink.submit import StateRefused
from deploy.local.stack import StackError
from deploy.records.record import RecordsError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandFailed(""), 1),
        (StackError(""), 1),
        (RecordsError(""), 1),
        (FlinkMissing(""), 1),
        (StateRefused(""), 1),
        (ClusterRefused(""), 1),
        (SettingsError(""), 2),
        (Unreachable(""), 3),
        (ClusterUnreachable(""), 3),
        (ValueError(""), None),
    ],
)
def test_exit_codes(error: Exception, code: int | None) -> None:
    assert exit_code(error) == code


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tidemark", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    return int(ended.value.code or 0)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings, and an environment without them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEMARK_SETTINGS", raising=False)
    return tmp_path


def test_bad_settings_end_with_two_and_name_every_key(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "tidemark.toml").write_text('[mqtt]\nport = 0\n[kafka]\nbootstrp = ""\n')
    assert run_main(monkeypatch, "status") == 2
    shown = capsys.readouterr()
    assert "mqtt.port" in shown.err
    assert "kafka.bootstrp" in shown.err
    assert shown.out == ""


def test_wrong_usage_ends_with_two(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_main(monkeypatch, "logs", "--nothing") == 2
    assert run_main(monkeypatch, "tail", "no-such-topic") == 2


def test_an_unknown_part_ends_with_one(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "logs", "kafak") == 1
    assert "there are mosquitto, kafka," in capsys.readouterr().err


def test_a_stack_that_is_not_there(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "status") == 1
    assert "start it: tidemark up" in capsys.readouterr().out
    assert run_main(monkeypatch, "down") == 0
    assert list(elsewhere.iterdir()) == []


def test_status_as_json(elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert run_main(monkeypatch, "status", "--json") == 1
    shown = json.loads(capsys.readouterr().out)
    assert shown["up"] is False
    assert {part["state"] for part in shown["parts"]} == {"stopped"}


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "app", interrupted)
    monkeypatch.setattr(command, "_register", lambda: None)
    assert run_main(monkeypatch) == 130


def test_every_subcommand_has_help() -> None:
    import typer.main

    if not command.app.registered_commands:
        command._register()
    group = typer.main.get_command(command.app)
    for name, one in group.commands.items():  # type: ignore[attr-defined]
        assert one.help, name
        assert CliRunner().invoke(command.app, [name, "--help"]).exit_code == 0


def test_the_command_starts_without_loading_what_it_may_not_need() -> None:
    heavy = ("numpy", "confluent_kafka", "pyflink", "pandas", "matplotlib", "pydantic")
    code = (
        "import sys; from deploy.command import main; main._register(); "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
