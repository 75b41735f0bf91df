"""Getting started as the page says, each command as it stands there, on free ports and in a folder of its own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.kit.settings import Settings
from deploy.local.layout import PROJECT
from deploy.local.ports import on_free_ports
from deploy.local.processes import marked, sweep
from tests.support.observe import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.long]

PAGE = (PROJECT / "docs" / "getting-started.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [text for its_language, text in BLOCKS if its_language == language]


def ports() -> dict[str, str]:
    """Return the environment that puts a stack on free ports."""
    free = on_free_ports(Settings())
    return {
        "TIDEMARK_MQTT__PORT": str(free.mqtt.port),
        "TIDEMARK_KAFKA__BOOTSTRAP": free.kafka.bootstrap,
        "TIDEMARK_FLINK__REST": free.flink.rest,
        "TIDEMARK_INFLUXDB__URL": free.influxdb.url,
        "TIDEMARK_INFLUXDB__METRICS_PORT": str(free.influxdb.metrics_port),
        "TIDEMARK_BRIDGE__METRICS_PORT": str(free.bridge.metrics_port),
        "TIDEMARK_NOTIFIER__METRICS_PORT": str(free.notifier.metrics_port),
        "TIDEMARK_MONITOR__METRICS_PORT": str(free.monitor.metrics_port),
        "TIDEMARK_STACK__KAFKA_CONTROLLER_PORT": str(free.stack.kafka_controller_port),
        "TIDEMARK_STACK__FLINK_RPC_PORT": str(free.stack.flink_rpc_port),
        "TIDEMARK_STACK__INFLUX_RPC_PORT": str(free.stack.influx_rpc_port),
        "TIDEMARK_STACK__SHORT_LIVED": "true",
    }


class User:
    """Types what the page says, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = ports()
        command = folder / "bin" / "tidemark"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m deploy.command.main "$@"\n')
        command.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
        path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = kept | self.ports | {"PATH": path, "PYTHONPATH": str(PROJECT)}

    def types(self, lines: str, timeout_s: float = 240) -> str:
        """Run lines of the page; what the set-up is for is there already."""
        lines = lines.replace("make up ", "tidemark up ")
        lines = "\n".join(line for line in lines.splitlines() if not line.startswith("source "))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def writes(self, name: str, text: str) -> None:
        """Append to a file."""
        with (self.folder / name).open("a") as file:
            file.write(text)


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    user = User(tmp_path)
    yield user
    sweep(tmp_path / "var")


@contextmanager
def sensor(user: User) -> Iterator[None]:
    """Run the page's sensor."""
    (program,) = blocks("python")
    assert "18830" in program
    user.writes("boiler.py", program.replace("18830", user.ports["TIDEMARK_MQTT__PORT"]))
    process = subprocess.Popen([sys.executable, "boiler.py"], cwd=user.folder)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def learning(user: User) -> int:
    found = json.loads(user.types("tidemark status --json || true"))["learning"]
    return 999 if not found or not found["series"] else int(found["windows_left"])


@pytest.mark.timeout(900)
def test_as_the_page_says(user: User) -> None:
    windows, mappings = blocks("toml")
    (subscriptions,) = blocks("yaml")
    start, discover, restart, happen, stop, _replay = blocks("sh")
    user.writes("tidemark.toml", windows)
    user.types(start)
    with sensor(user):
        user.types(discover)
        assert "topic: cellar/{device}" in (user.folder / "mappings.yaml").read_text()
        user.writes("tidemark.toml", mappings)
        user.writes("subscriptions.yaml", subscriptions)
        assert '"device":"boiler","quantity":"temperature"' in user.types(restart)
        wait_until(lambda: learning(user) == 0, 300, "the series to be learned", lambda: learning(user), step_s=3)
        assert "unusual-value" in user.types(happen, timeout_s=120)
        notes = user.folder / "alerts.jsonl"
        wait_until(lambda: "unusual-value" in notes.read_text(), 20, "the notification", notes.read_text)
    user.types(stop)
    assert marked(user.folder / "var") == []
