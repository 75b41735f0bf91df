"""The embedded stack's life: up, down, crashes; whatever happens, no process is left and data stay."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.kit.settings import Settings
from deploy.local.effective import to_toml, write_private
from deploy.local.ports import is_free
from deploy.local.processes import is_alive, marked, sweep
from deploy.local.stack import Stack, StackError
from tests.support.stack import short_settings, wait_for, wait_until_nothing_is_left

pytestmark = pytest.mark.integration

LIGHT = ["mosquitto", "influxd"]
"""Parts that start in a second: what holds for them holds for all, since all start and stop the same way."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "stack"
    yield folder
    sweep(folder)


def settings_file(folder: Path, settings: Settings) -> Path:
    file = folder.parent / "tidemark.toml"
    write_private(file, to_toml(settings))
    return file


def tidemark(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), env=environment(file), capture_output=True, text=True, timeout=240, check=False
    )


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "deploy.command.main", *arguments]


def environment(file: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
    return kept | {"TIDEMARK_SETTINGS": str(file)}


@pytest.mark.timeout(600)  # a dozen commands and two starts of Kafka
def test_up_and_down_by_command(folder: Path) -> None:
    settings = short_settings(folder, ["mosquitto", "kafka"])
    file = settings_file(folder, settings)

    up = tidemark(file, "up")
    assert up.returncode == 0, up.stderr
    assert settings.kafka.bootstrap in up.stdout
    again = tidemark(file, "up")
    assert again.returncode == 0, again.stderr

    shown = tidemark(file, "status", "--json")
    assert shown.returncode == 0, shown.stdout
    status = json.loads(shown.stdout)
    states = {part["name"]: part for part in status["parts"]}
    assert states["kafka"]["state"] == states["mosquitto"]["state"] == "healthy"
    assert states["kafka"]["pss_mib"] > 50
    assert status["pss_mib"] >= states["kafka"]["pss_mib"]
    assert states["bridge"]["state"] == "stopped"
    assert "kafka" in tidemark(file, "status").stdout
    assert "Kafka Server started" in tidemark(file, "logs", "kafka", "-n", "1000").stdout

    rules = tidemark(file, "tail", "rules", "--from-beginning", "--json", "--max", "1")
    assert rules.returncode == 0, rules.stderr
    assert json.loads(rules.stdout)["value"]["rules"]

    assert "delete" not in tidemark(file, "up", "--fresh").stdout
    refused = tidemark(file, "up", "--fresh")
    assert refused.returncode == 1
    assert "tidemark down" in refused.stderr

    down = tidemark(file, "down")
    assert down.returncode == 0, down.stderr
    assert marked(folder) == []

    # What was in Kafka is there again, and its rules are not published twice.
    assert tidemark(file, "up").returncode == 0
    rules = tidemark(file, "tail", "rules", "--from-beginning", "--json", "--no-follow")
    assert len(rules.stdout.splitlines()) == 1
    assert tidemark(file, "down").returncode == 0
    assert tidemark(file, "tail", "rules", "--no-follow").returncode == 3


def test_a_taken_port_is_told_before_anything_starts(folder: Path) -> None:
    settings = short_settings(folder, LIGHT)
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.mqtt.port))
        other.listen()
        up = tidemark(settings_file(folder, settings), "up")
    assert up.returncode == 1
    assert f"port {settings.mqtt.port} (mqtt.port) is taken by" in up.stderr
    assert marked(folder) == []
    assert not (folder / "data/mosquitto").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_an_interrupted_up_leaves_nothing(folder: Path, number: signal.Signals) -> None:
    settings = short_settings(folder, ["mosquitto", "kafka", "influxd"])
    up = subprocess.Popen(
        command("up"),
        env=environment(settings_file(folder, settings)),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    kafka_pid = folder / "run/kafka.pid"
    wait_for(kafka_pid.exists, 120, "Kafka is being started")
    os.killpg(up.pid, number)  # as a terminal does
    _, said = up.communicate(timeout=120)
    assert up.returncode == (130 if number == signal.SIGINT else 143), said
    assert marked(folder) == []
    assert is_free("127.0.0.1", settings.mqtt.port)


def test_a_failed_up_shows_the_log_and_leaves_nothing(folder: Path) -> None:
    settings = short_settings(folder, LIGHT)
    file = settings_file(folder, settings)
    assert tidemark(file, "up").returncode == 0
    assert tidemark(file, "down").returncode == 0
    (folder / "data/influxd/meta/meta.db").write_bytes(b"broken")
    up = tidemark(file, "up")
    assert up.returncode == 1
    assert "influxd ended while it was starting" in up.stderr
    assert f"the end of {folder}/log/influxd.log" in up.stderr
    assert marked(folder) == []


def test_a_killed_supervisor_takes_all_parts_with_it(folder: Path) -> None:
    stack = Stack(short_settings(folder), folder)
    stack.start(LIGHT)
    pids = [pid for part in stack.pids().values() for pid in part]
    os.kill(int((folder / "run/supervisor.pid").read_text()), signal.SIGKILL)
    wait_until_nothing_is_left(folder)
    assert not any(is_alive(pid) for pid in pids)
    assert stack.pids() == {"supervisor": []}

    stack.start(LIGHT)
    assert all(stack.healthy(part) for part in LIGHT)
    stack.stop()
    assert marked(folder) == []


def test_a_killed_guard_of_the_supervisor_takes_all_with_it(folder: Path) -> None:
    stack = Stack(short_settings(folder), folder)
    stack.start(LIGHT)
    supervisor = int((folder / "run/supervisor.pid").read_text())
    guard = int(Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(guard, signal.SIGKILL)
    wait_until_nothing_is_left(folder)


def test_the_parts_end_with_the_process_that_holds_them(folder: Path) -> None:
    file = settings_file(folder, short_settings(folder))
    code = (
        "import sys, time; from pathlib import Path; from connectors.kit.settings import load_settings; "
        "from deploy.local.stack import Stack\n"
        f"with Stack(load_settings(), Path({str(folder)!r})) as stack:\n"
        f"    stack.start({LIGHT}); print('up', flush=True); time.sleep(1000)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], env=environment(file), stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "up\n"
    assert marked(folder)
    holder.kill()
    holder.wait()
    wait_until_nothing_is_left(folder)


def test_a_killed_part_comes_back(folder: Path) -> None:
    with Stack(short_settings(folder), folder) as stack:
        stack.start(LIGHT)
        before = stack.kill("mosquitto")
        stack.wait_healthy("mosquitto")
        assert stack.pid("mosquitto") != before
        before = stack.pid("influxd")
        stack.restart("influxd")
        assert stack.healthy("influxd")
        assert stack.pid("influxd") != before
    assert marked(folder) == []


def test_a_part_that_is_stopped_stays_so(folder: Path) -> None:
    with Stack(short_settings(folder), folder) as stack:
        stack.start(LIGHT)
        stack.stop(["mosquitto"])
        with pytest.raises(StackError, match="mosquitto is not running"):
            stack.pid("mosquitto")
        assert stack.healthy("influxd")
        stack.start(LIGHT)
        assert stack.healthy("mosquitto")


def test_two_stacks_in_one_folder_are_refused(folder: Path) -> None:
    with Stack(short_settings(folder), folder) as stack:
        stack.start(["mosquitto"])
        with pytest.raises(StackError, match="is running in"), Stack(stack.settings, folder):
            pass
        assert stack.healthy("mosquitto")


def test_orphans_of_an_earlier_run_are_ended_by_the_next(folder: Path) -> None:
    said: list[str] = []
    stack = Stack(short_settings(folder), folder, said.append)
    orphan = subprocess.Popen(["sleep", "1000"], env={"TIDEMARK_EMBEDDED_STACK": str(folder)})
    stack.start(["mosquitto"])
    assert orphan.wait(10) == -signal.SIGKILL
    assert "ended 1 processes that an earlier run left behind" in said
    stack.stop()
