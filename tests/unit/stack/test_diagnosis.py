import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.kit.settings import MqttSettings, Settings, StackSettings
from deploy.local import diagnosis
from deploy.local.diagnosis import Finding, examine
from deploy.local.gate.gate import Gate
from deploy.local.gate.machine import Machine
from deploy.local.gate.paths import GatePaths
from deploy.local.ports import on_free_ports
from deploy.local.stack import Stack


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the programs say of themselves, by the end of their name; absent means that they can't be run."""
    said = {
        "java": 'openjdk version "17.0.15" 2025-04-15',
        "mosquitto": "mosquitto version 2.0.11",
        "influxd": "InfluxDB v1.8.10",
        "dpkg-query": "mosquitto\t2.0.11-1.2+deb12u2",
    }
    monkeypatch.setattr(diagnosis, "_says", lambda argv: said.get(Path(argv[0]).name))
    return said


def findings(tmp_path: Path, settings: Settings | None = None) -> dict[str, Finding]:
    found = examine(Stack(settings or on_free_ports(Settings()), tmp_path))
    return {finding.what: finding for finding in found}


def test_a_machine_with_everything(tmp_path: Path) -> None:
    found = findings(tmp_path)
    for what in ("Python", "Java", "InfluxDB", "mosquitto", "ports", "Flink"):
        assert found[what].verdict == "ok", found[what]
    assert list(tmp_path.iterdir()) == [], "looking changes nothing"


def test_a_java_too_old(tmp_path: Path, programs: dict[str, str]) -> None:
    programs["java"] = 'openjdk version "11.0.2"'
    found = findings(tmp_path)["Java"]
    assert found.verdict == "wrong"
    assert "Kafka needs 17" in found.detail
    assert "openjdk-17" in found.mend


@pytest.mark.parametrize(("program", "what"), [("java", "Java"), ("mosquitto", "mosquitto"), ("influxd", "InfluxDB")])
def test_a_program_that_is_missing(tmp_path: Path, programs: dict[str, str], program: str, what: str) -> None:
    del programs[program]
    found = findings(tmp_path)[what]
    assert found.verdict == "wrong"
    assert found.mend


def test_jars_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "JARS", tmp_path)
    monkeypatch.setattr(diagnosis, "PARTS_HOME", tmp_path)
    found = findings(tmp_path / "stack")
    assert found["Kafka"].mend == found["Flink's Kafka connector"].mend == "make setup"


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        settings = on_free_ports(Settings())
        mqtt = settings.mqtt.model_copy(update={"port": listener.getsockname()[1]})
        found = findings(tmp_path, settings.model_copy(update={"mqtt": mqtt}))["ports"]
    assert found.verdict == "wrong"
    assert "mqtt.port" in found.detail
    assert "another port" in found.mend


@pytest.mark.parametrize(
    ("host", "package", "verdict"),
    [
        ("127.0.0.1", "mosquitto\t2.0.11-1", "ok"),
        ("192.0.2.1", "mosquitto\t2.0.11-1", "warning"),
        ("192.0.2.1", "mosquitto\t2.0.11-1.2+deb12u2", "ok"),
    ],
)
def test_an_old_mosquitto_beyond_loopback(
    tmp_path: Path, programs: dict[str, str], host: str, package: str, verdict: str
) -> None:
    programs["dpkg-query"] = package
    assert findings(tmp_path, Settings(mqtt=MqttSettings(host=host)))["mosquitto"].verdict == verdict


def test_a_disk_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "DISK_WANTED", 2**60)
    assert findings(tmp_path)["disk"].verdict == "warning"
    monkeypatch.setattr(diagnosis, "DISK_NEEDED", 2**59)
    found = findings(tmp_path)["disk"]
    assert found.verdict == "wrong"
    assert "stack.data" in found.mend


def test_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "_available_memory", lambda: 2**30)
    assert findings(tmp_path)["memory"].verdict == "wrong"


def test_a_users_own_servers_must_answer_and_their_programs_need_not_be_here(
    tmp_path: Path, programs: dict[str, str]
) -> None:
    programs.clear()
    settings = on_free_ports(Settings(stack=StackSettings(parts=["bridge"])))
    found = findings(tmp_path, settings)
    assert "Java" not in found
    own = {what: finding for what, finding in found.items() if what.startswith("your ")}
    assert set(own) == {"your MQTT broker", "your Kafka", "your InfluxDB", "your Flink"}
    assert all(finding.verdict == "wrong" and finding.mend for finding in own.values())


def test_a_listener_beyond_loopback(tmp_path: Path, programs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "this_machine", lambda: Machine("hall", ("10.0.0.5",)))
    stack = StackSettings(listen="10.0.0.5")
    found = findings(tmp_path, Settings(stack=stack))
    assert found["listener"].verdict == "ok"
    assert found["mosquitto"].verdict == "ok"
    assert "Debian has patched its package" in found["mosquitto"].detail
    programs["dpkg-query"] = ""
    assert "listens on 10.0.0.5:8883" in findings(tmp_path, Settings(stack=stack))["mosquitto"].detail
    programs["mosquitto"] = "mosquitto version 2.0.22"
    assert findings(tmp_path, Settings(stack=stack))["mosquitto"].verdict == "ok"
    inside = findings(tmp_path, Settings(stack=StackSettings(listen="127.0.0.1")))
    assert inside["mosquitto"].verdict == "ok", "nobody else reaches it"
    wrong = findings(tmp_path, Settings(stack=StackSettings(listen="10.0.0.6")))["listener"]
    assert (wrong.verdict, "10.0.0.6 is no address" in wrong.detail) == ("wrong", True)


def test_certificates_that_end_soon(tmp_path: Path) -> None:
    stack = StackSettings(listen="127.0.0.1")
    assert "CA's certificate" not in findings(tmp_path, Settings(stack=stack)), "made at the first start"
    for days, server, ca in ((0, "ok", "ok"), (800, "warning", "ok"), (3400, "warning", "warning")):
        Gate(GatePaths(tmp_path / str(days))).prepare(["hall"], datetime.now(UTC) - timedelta(days=days), "ca")
        found = findings(tmp_path / str(days), Settings(stack=stack))
        assert (found["broker's certificate"].verdict, found["CA's certificate"].verdict) == (server, ca), days
        assert all(bool(found[what].mend) == (found[what].verdict != "ok") for what in found if "certificate" in what)
