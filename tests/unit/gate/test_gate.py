"""The gate's files: made once, kept, private."""

import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local.gate.certificates import SERVER_LASTS, names_of, read_identity
from deploy.local.gate.error import GateError
from deploy.local.gate.gate import Gate
from deploy.local.gate.passwords import Hashed
from deploy.local.gate.paths import GatePaths
from deploy.local.gate.registry import Gateway, Registry

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ["10.0.0.5", "hall"]


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(GatePaths(tmp_path / "stack"))


def contents(gate: Gate) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in gate.paths.folder.iterdir()}


def test_the_first_start_makes_everything_and_the_next_nothing(gate: Gate) -> None:
    assert gate.prepare(NAMES, NOW, "ca") == "there was none"
    first = contents(gate)
    assert set(first) == {
        "ca.crt",
        "ca.key",
        "server.pem",
        "service-password",
        "admin-password",
        "mosquitto-security.json",
        "lock",
    }
    assert gate.prepare(NAMES, NOW, "ca") == ""
    changed = {name for name, content in contents(gate).items() if content != first[name]}
    assert changed <= {"mosquitto-security.json"}, "its salts are new"


def test_nobody_else_can_read_them(gate: Gate) -> None:
    gate.prepare(NAMES, NOW, "ca")
    gate.store(Registry())
    assert stat.S_IMODE(gate.paths.folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in gate.paths.folder.iterdir()}
    del modes["lock"]  # empty
    assert set(modes.values()) == {0o600}, modes


def test_two_installs_share_no_secret(tmp_path: Path) -> None:
    gates = [Gate(GatePaths(tmp_path / name)) for name in "ab"]
    for gate in gates:
        gate.prepare(NAMES, NOW, "Tidemark on hall")
    one, other = map(contents, gates)
    for name in ("ca.crt", "ca.key", "server.pem", "service-password", "admin-password", "mosquitto-security.json"):
        assert one[name] != other[name], name


def test_new_names_get_a_certificate_of_the_same_ca(gate: Gate) -> None:
    gate.prepare(NAMES, NOW, "ca")
    ca = gate.paths.ca.read_bytes()
    assert gate.prepare([*NAMES, "new.example"], NOW, "ca") == "the names changed"
    pem = gate.paths.server.read_bytes()
    assert names_of(read_identity(pem, pem).certificate) == ("10.0.0.5", "hall", "new.example")
    assert gate.paths.ca.read_bytes() == ca


def test_a_certificate_is_renewed_before_its_end_and_one_that_is_broken_replaced(gate: Gate) -> None:
    gate.prepare(NAMES, NOW, "ca")
    later = NOW + SERVER_LASTS - timedelta(days=59)
    assert gate.prepare(NAMES, later, "ca").startswith("it ends on")
    assert gate.prepare(NAMES, later, "ca") == ""
    gate.paths.server.write_text(gate.paths.server.read_text()[:300])
    assert "can't be read" in gate.prepare(NAMES, later, "ca")


def test_a_ca_without_its_key_is_not_replaced_behind_the_users_back(gate: Gate) -> None:
    gate.prepare(NAMES, NOW, "ca")
    before = gate.paths.ca.read_bytes()
    gate.paths.ca_key.unlink()
    with pytest.raises(GateError, match=r"ca\.key.*[Rr]estore both"):
        gate.prepare(NAMES, NOW, "ca")
    assert gate.paths.ca.read_bytes() == before


def test_a_kill_between_key_and_certificate_leaves_no_ca(gate: Gate) -> None:
    gate.prepare(NAMES, NOW, "ca")
    gate.paths.ca.unlink()
    assert gate.prepare(NAMES, NOW, "ca") == "the CA is another one"


PASSWORD = Hashed("hash", "salt", 101)


def test_gateways_are_kept_and_told_to_the_broker(gate: Gate) -> None:
    with gate.changing() as change:
        change.store(change.registry.added(Gateway("s", "pi-7", 1, ("tele/x/#",), PASSWORD)))
    assert gate.registry().get("pi-7") == Gateway("s", "pi-7", 1, ("tele/x/#",), PASSWORD)
    assert "pi-7" in gate.paths.security.read_text()
    with gate.changing() as change:
        change.store(change.registry.without("pi-7"))
    assert "pi-7" not in gate.paths.security.read_text()


def test_what_the_broker_reads_is_written_again_at_a_start(gate: Gate) -> None:
    gate.store(Registry().added(Gateway("s", "pi-7", 1, (), PASSWORD)))
    gate.paths.security.write_text("{")
    gate.prepare(NAMES, NOW, "ca")
    assert "pi-7" in gate.paths.security.read_text()


def test_two_commands_at_the_same_time_lose_no_gateway(gate: Gate) -> None:
    def add(number: int) -> None:
        with gate.changing() as change:
            change.store(change.registry.added(Gateway("s", f"pi-{number}", 1, (), PASSWORD)))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(gate.registry().gateways) == 20


def test_a_registry_that_is_broken_stops_everything(gate: Gate) -> None:
    gate.store(Registry())
    gate.paths.registry.write_text("{")
    with pytest.raises(GateError, match=r"gateways\.json can't be read"):
        gate.registry()
    with pytest.raises(GateError, match=r"gateways\.json can't be read"):
        gate.prepare(NAMES, NOW, "ca")
