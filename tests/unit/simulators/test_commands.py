"""Wrong usage of `tidemark simulate` and `tidemark replay`."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from deploy.command import replay, simulate

APP = typer.Typer()
simulate.register(APP)
replay.register(APP)


def tidemark(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> tuple[int, str]:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TIDEMARK_STACK__DATA", str(folder / "var"))
    done = CliRunner().invoke(APP, list(arguments))
    return done.exit_code, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--faults flood", "flood is none of spike, shift"),
        ("--devices 1 --faults spike", "at least half of all devices stay healthy"),
        ("--faults default --duration 60", "windows (warm-up, gaps and tail)"),
        ("--sync MAYBE", "MAYBE is none of FULL"),
        ("--rate 0", "--rate"),
        ("--pack 5000", "--pack"),
    ],
)
def test_simulate_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: str, message: str
) -> None:
    code, err = tidemark(monkeypatch, tmp_path, "simulate", *arguments.split())
    assert code == 2
    assert message in err


def test_bad_settings_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIDEMARK_MQTT__PORT", "many")
    code, err = tidemark(monkeypatch, tmp_path, "simulate")
    assert code == 2
    assert "mqtt.port" in err


def test_a_folder_that_can_not_be_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, err = tidemark(monkeypatch, tmp_path, "simulate", "--outbox", "file/outboxes")
    assert (code, "file/outboxes" in err) == (2, True)
    code, err = tidemark(monkeypatch, tmp_path, "simulate", "--truth", "file/truth.jsonl")
    assert (code, "file/truth.jsonl" in err) == (2, True)


def test_replay_names_file_line_and_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "machine.csv").write_text("timestamp,value\n2013-12-02 00:00:00,hot\n")
    code, err = tidemark(monkeypatch, tmp_path, "replay", "machine.csv")
    assert code == 2
    assert "machine.csv:2: value 'hot' is not a number" in err
    code, err = tidemark(monkeypatch, tmp_path, "replay", "machine.csv", "other.csv", "--device", "press-3")
    assert code == 2
    assert "--device names one device" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--own-stack own --outbox boxes", "keeps its outbox in that folder"),
        ("--gateway hall/2", "holds one of / + #"),
        ("--site +", "holds one of / + #"),
        ("--own-stack own --minutes 0", "--minutes"),
        ("--own-stack own --window-s 0", "--window-s"),
        ("--own-stack own --columns heat", "no column heat; there are value"),
        ("--own-stack own --shift-days -6000", "move it by --shift-days"),
    ],
)
def test_replay_on_its_own_says_what_is_wrong_before_it_starts_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: str, message: str
) -> None:
    (tmp_path / "machine.csv").write_text("timestamp,value\n2013-12-02 00:00:00,1\n2013-12-02 00:05:00,2\n")
    code, err = tidemark(monkeypatch, tmp_path, "replay", "machine.csv", *arguments.split())
    assert code == 2
    assert message in " ".join(err.replace("│", " ").split())  # the box that usage errors stand in breaks lines
    assert not (tmp_path / "own").exists()
