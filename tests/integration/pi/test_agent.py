"""`tidemark-pi` as a process, on a real broker: what it sends, what it weighs, and what a kill leaves."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from connectors.kit.clock import WallClock
from connectors.wire.pack import Pack
from connectors.wire.versions import from_either
from deploy.raspberrypi.config import load_config
from simulators.device import Broker, Device, DeviceLoop, DeviceOptions, Outbox
from simulators.device.outbox import digest
from simulators.device.sender import SendLimits
from tests.support.bridge_stub import BridgeStub
from tests.support.mosquitto import Mosquitto
from tests.support.pi_board import BOARD, config_text

pytestmark = pytest.mark.integration

WAIT_S = 30.0
REPO = Path(__file__).parents[3]
LIMIT_KIB = 40 * 1024
SERIES = {
    ("boiler", "temperature", "Cel"): 23.125,
    ("freezer", "temperature", "Cel"): -10.125,
    ("room", "temperature", "Cel"): 25.08,
    ("room", "humidity", "%RH"): pytest.approx(54.25, abs=0.01),
    ("room", "pressure", "Pa"): pytest.approx(100_653.27, abs=0.1),
    ("board", "temperature", "Cel"): 48.312,
    ("board", "under-voltage", "/"): 0.0,
}


def until(condition: Callable[[], bool], what: str, seconds: float = WAIT_S) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that forgets everything when it ends."""
    made = Mosquitto(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def stub(broker: Mosquitto) -> Iterator[BridgeStub]:
    """What stands in for the bridge."""
    made = BridgeStub(broker.port)
    yield made
    made.close()
    assert made.errors == []


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start agents, and end them afterwards."""
    made: list[subprocess.Popen[str]] = []

    def run(config: Path, root: Path = BOARD, **environ: str) -> subprocess.Popen[str]:
        log = (tmp_path / "agent.log").open("a")
        made.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.support.pi_program", "run", "--config", str(config), "--root", str(root)],
                cwd=REPO,
                env={**os.environ, **environ},
                stderr=log,
                text=True,
            )
        )
        return made[-1]

    yield run
    for process in made:
        process.kill()
        process.wait(WAIT_S)


def write_config(folder: Path, text: str) -> Path:
    file = folder / "config.toml"
    file.write_text(text)
    return file


def resident_kib(process: subprocess.Popen[str], what: str) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    match = re.search(rf"^{what}:\s+(\d+) kB", status, re.MULTILINE)
    assert match is not None
    return int(match[1])


def last_values(stub: BridgeStub) -> dict[tuple[str, str, str], float | None]:
    values = {}
    for pack in stub.decoded():
        series = stub.tables[pack.table].series
        for place, value in zip(pack.series, pack.values, strict=True):
            values[series[place].device, series[place].quantity, series[place].unit] = value
    return values


def test_every_sensor_arrives_with_its_unit_and_the_goodbye_is_said(
    broker: Mosquitto, stub: BridgeStub, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    config = write_config(tmp_path, config_text(broker.port, tmp_path / "outbox.sqlite"))
    process = start(config)
    until(lambda: len(stub.packs) >= 3, "three rounds")
    assert last_values(stub) == SERIES
    now_ms = time.time() * 1000
    assert all(abs(pack.base_ms - now_ms) < 60_000 for pack in stub.decoded())
    process.terminate()
    assert process.wait(WAIT_S) == 0
    until(lambda: stub.status["pi-1"].state == "offline", "the goodbye")


def test_nothing_is_made_up_for_a_sensor_that_fails(
    broker: Mosquitto, stub: BridgeStub, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    root = tmp_path / "board"
    shutil.copytree(BOARD, root)
    shutil.rmtree(root / "sys/bus/w1/devices/28-3c01d607cb43")
    shutil.copy(BOARD.parent / "w1_slave/power-on.txt", root / "sys/bus/w1/devices/28-000005e2fdc3/w1_slave")
    process = start(write_config(tmp_path, config_text(broker.port, tmp_path / "o.sqlite")), root)
    until(lambda: len(stub.packs) >= 3, "three rounds")
    assert {device for device, _, _ in last_values(stub)} == {"room", "board"}
    shutil.copy(BOARD.parent / "w1_slave/measured-85.txt", root / "sys/bus/w1/devices/28-000005e2fdc3/w1_slave")
    until(lambda: last_values(stub).get(("boiler", "temperature", "Cel")) == 85.0, "the sensor that came back")
    process.terminate()
    assert process.wait(WAIT_S) == 0
    log = (tmp_path / "agent.log").read_text()
    assert log.count("boiler/temperature (DS18B20 28-000005e2fdc3): no reading, power-on-value") == 1
    assert log.count("readings again, after power-on-value") == 1
    assert re.search(r"skipped \(.*28-3c01d607cb43: gone \d+", log)


def test_readings_from_before_the_time_is_known_are_stamped_when_it_is(
    broker: Mosquitto, stub: BridgeStub, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    text = config_text(broker.port, tmp_path / "o.sqlite").replace("trust = true", "trust = false")
    process = start(write_config(tmp_path, text), PI_TEST_SYNCHRONISED=str(tmp_path / "synchronised"))
    until((tmp_path / "o.sqlite").exists, "the agent")
    time.sleep(1.5)
    known_ms = time.time() * 1000
    assert (stub.packs, stub.status) == ({}, {}), "nothing is sent by a clock that may be wrong"
    (tmp_path / "synchronised").touch()
    until(lambda: len(stub.packs) >= 5, "the rounds that waited")
    stamps = [pack.base_ms for pack in stub.decoded()]
    assert known_ms - 10_000 < stamps[0] < stamps[2] < known_ms
    assert stamps == sorted(set(stamps))
    process.terminate()
    assert process.wait(WAIT_S) == 0


def test_systemd_hears_of_the_start_of_life_and_of_the_end(
    broker: Mosquitto, stub: BridgeStub, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(WAIT_S)
        config = config_text(broker.port, tmp_path / "o.sqlite", period_s=3600)
        process = start(write_config(tmp_path, config), NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000")
        heard = [systemd.recv(4096).decode()]
        while heard[-1] != "READY=1":
            heard.append(systemd.recv(4096).decode())
        assert set(heard[:-1]) == {"WATCHDOG=1"}, "each sensor is a sign of life"
        # The period is an hour, and the watchdog is fed all the same, with the state.
        began = time.monotonic()
        said = [systemd.recv(4096).decode() for _ in range(5)]
        assert time.monotonic() - began < 10
        assert all(line.startswith("WATCHDOG=1\nSTATUS=") for line in said)
        assert "7 readings taken, 7 committed" in said[-1]
        process.terminate()
        while heard[-1] != "STOPPING=1":
            heard.append(systemd.recv(4096).decode())
        assert process.wait(WAIT_S) == 0


def tls_files(folder: Path) -> tuple[Path, Path, Path]:
    """Make a CA and a certificate for 127.0.0.1."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificates")
    ca, ca_key, cert, key, request = (folder / name for name in ("ca.crt", "ca.key", "s.crt", "s.key", "s.csr"))

    def run(*arguments: object) -> None:
        subprocess.run([openssl, *map(str, arguments)], check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    constraints = ("-addext", "keyUsage=critical,keyCertSign")
    run("req", "-x509", *new, "-keyout", ca_key, "-out", ca, "-subj", "/CN=test CA", "-days", 2, *constraints)
    run("req", *new, "-keyout", key, "-out", request, "-subj", "/CN=broker")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    run(
        "x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", cert, "-days", 2,
        "-extfile", folder / "ext",
    )  # fmt: skip
    return ca, cert, key


def with_login(text: str, folder: Path, ca: Path) -> str:
    password = folder / "password"
    password.write_text("s3cret\n")
    password.chmod(0o600)
    login = f'tls = true\nca_file = "{ca}"\nusername = "pi-1"\npassword_file = "{password}"'
    return text.replace("tls = false", login)


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with TLS and a login, on a second listener; the first one is the stub's."""
    ca, cert, key = tls_files(tmp_path)
    assert ca.exists()
    passwords = tmp_path / "passwords"
    tool = shutil.which("mosquitto_passwd") or "/usr/bin/mosquitto_passwd"
    subprocess.run([tool, "-b", "-c", str(passwords), "pi-1", "s3cret"], check=True, capture_output=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Mosquitto(
        tmp_path,
        "per_listener_settings true",
        f"listener {port} 127.0.0.1", f"cafile {ca}", f"certfile {cert}", f"keyfile {key}",
        "allow_anonymous false", f"password_file {passwords}",
    )  # fmt: skip
    made.tls_port = port  # type: ignore[attr-defined]
    yield made
    made.stop()


def test_it_stays_under_40_mib_with_tls_and_every_sensor(
    secured: Mosquitto, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    stub = BridgeStub(secured.port)
    text = with_login(config_text(secured.tls_port, tmp_path / "o.sqlite"), tmp_path, tmp_path / "ca.crt")  # type: ignore[attr-defined]
    process = start(write_config(tmp_path, text), MALLOC_ARENA_MAX="1")
    until(lambda: len(stub.packs) >= 30, "thirty rounds over TLS")
    peak, now = resident_kib(process, "VmHWM"), resident_kib(process, "VmRSS")
    print(f"resident: {now / 1024:.1f} MiB, at most {peak / 1024:.1f} MiB")
    stub.close()
    assert peak < LIMIT_KIB
    loaded = Path(f"/proc/{process.pid}/maps").read_text()
    assert not re.search("numpy|pandas|pyflink|pydantic", loaded)


def check(config: Path, *more: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.pi_program", "check", "--config", str(config), "--json", *more],
        cwd=REPO, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, {finding["what"]: finding for finding in json.loads(done.stdout)}


def test_check_tries_the_login(secured: Mosquitto, tmp_path: Path) -> None:
    plain = config_text(secured.tls_port, tmp_path / "o.sqlite")  # type: ignore[attr-defined]
    good = with_login(plain, tmp_path, tmp_path / "ca.crt")
    code, findings = check(write_config(tmp_path, good), "--root", str(BOARD))
    assert (code, findings["broker login"]["verdict"]) == (0, "ok"), findings
    assert findings["boiler/temperature"]["detail"] == "23.125 Cel (DS18B20 28-000005e2fdc3)"

    (tmp_path / "password").write_text("wrong")
    code, findings = check(write_config(tmp_path, good), "--root", str(BOARD))
    assert (code, findings["broker login"]["verdict"]) == (1, "wrong")
    assert "password" in findings["broker login"]["mend"]

    (tmp_path / "other").mkdir()
    other, *_ = tls_files(tmp_path / "other")
    foreign = with_login(plain, tmp_path, other)
    code, findings = check(write_config(tmp_path, foreign), "--root", str(BOARD))
    assert (code, findings["broker"]["verdict"]) == (1, "wrong")
    assert "certificate" in findings["broker"]["detail"]
    assert "ca_file" in findings["broker"]["mend"]


class Zygote:
    """The process that forks agents."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.pi_zygote"],
            cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip

    def turn(self, config: Path, witness: Path, **order: float) -> tuple[int, int]:
        """Run one agent to its end; return its status and steps."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = {"config": str(config), "root": str(BOARD), "witness": str(witness), **order}
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["status"], answer["steps"]

    def close(self) -> None:
        self._process.kill()
        self._process.wait(WAIT_S)
        self._log.close()


@pytest.fixture
def zygote(tmp_path: Path) -> Iterator[Zygote]:
    """Agents that start in milliseconds."""
    made = Zygote(tmp_path / "zygote.log")
    yield made
    made.close()


def books(config: Path, witness: Path) -> None:
    """Check an outbox as a kill left it: attempted = acknowledged + in the outbox, and nothing promised is missing."""
    settings = load_config(config)
    outbox = Outbox(settings.outbox.path, settings.gateway, ledger=True)
    made, counts = outbox.attempted(), outbox.counts()
    pending = {seq: digest(payload) for seq, payload in outbox.payloads(0, 10**9)}
    outbox.close()
    acknowledged = set(range(1, counts.acknowledged_packs + 1))
    assert sorted(made) == list(range(1, len(made) + 1))
    assert set(made) == acknowledged | set(pending)
    assert not acknowledged & set(pending)
    assert all(made[seq][1] == mark for seq, mark in pending.items())
    assert counts.committed_readings == sum(readings for readings, _ in made.values())
    told = witness.read_text().splitlines() if witness.exists() else []
    assert all(made[int(seq)][0] == int(readings) for seq, readings in map(str.split, told))
    assert len({line.split()[0] for line in told}) == len(told), "a number was given twice"


def drain(configs: list[Path], port: int) -> list[Device]:
    """Send what the killed agents left, from this process, and return the gateways."""
    devices = []
    for config in map(load_config, configs):
        options = DeviceOptions(
            config.site, config.gateway, config.outbox.path, SendLimits(ack_timeout_ms=500), "OFF", ledger=True
        )
        link = Broker(port=port, reconnect_min_s=0.05, reconnect_max_s=0.2)
        devices.append(Device(options, link, WallClock(), Random(1)))
    loop = DeviceLoop(devices)
    loop.start()
    try:
        until(loop.idle, "empty outboxes")
    finally:
        loop.stop()
    return devices


def assert_all_arrived_once(stub: BridgeStub, configs: list[Path]) -> int:
    """Compare what was attempted with what is there once copies, known by (gateway, boot, seq), are dropped."""
    total = 0
    for config in map(load_config, configs):
        outbox = Outbox(config.outbox.path, config.gateway, ledger=True)
        made = {seq: mark for seq, (_, mark) in outbox.attempted().items()}
        outbox.close()
        arrived = {key: payload for key, payload in stub.packs.items() if key[0] == config.gateway}
        assert {seq: digest(payload) for (_, _, seq), payload in arrived.items()} == made
        assert len({boot for _, boot, _ in arrived}) <= 1
        packs = [from_either(Pack, payload) for payload in arrived.values()]
        readings = [
            (place, float(pack.base_ms) + float(offset or 0))
            for pack in packs
            for place, offset in zip(pack.series, pack.offsets_ms, strict=True)
        ]
        assert len(set(readings)) == len(readings), "a reading came in two packs"
        total += len(readings)
    return total


def test_killed_a_hundred_times_nothing_is_lost_and_nothing_doubled(
    broker: Mosquitto, stub: BridgeStub, zygote: Zygote, tmp_path: Path
) -> None:
    config = write_config(tmp_path, config_text(broker.port, tmp_path / "o.sqlite"))
    witness, rng = tmp_path / "witness", Random(100)
    for turn in range(100):
        status, _ = zygote.turn(config, witness, kill_after_s=rng.uniform(0.0, 0.3))
        assert status == -signal.SIGKILL, (
            f"kill {turn}: it had ended by itself: {(tmp_path / 'zygote.log').read_text()}"
        )
        if turn % 10 == 0 and (tmp_path / "o.sqlite").exists():
            books(config, witness)
        if turn in {33, 66}:
            broker.restart(signal.SIGKILL)
            until(stub._client.is_connected, "the stub's connection")
    books(config, witness)
    drain([config], broker.port)
    assert assert_all_arrived_once(stub, [config]) > 7 * 10


def test_killed_at_every_step(broker: Mosquitto, stub: BridgeStub, zygote: Zygote, tmp_path: Path) -> None:
    configs, step, status = [], 0, -signal.SIGKILL
    while status == -signal.SIGKILL:
        step += 1
        folder = tmp_path / str(step)
        folder.mkdir()
        config = write_config(folder, config_text(broker.port, folder / "o.sqlite", gateway=f"pi-{step}"))
        status, steps = zygote.turn(config, folder / "witness", kill_at_step=step, until_acked=2)
        assert status in {0, -signal.SIGKILL}, (tmp_path / "zygote.log").read_text()
        if (folder / "o.sqlite").exists():
            books(config, folder / "witness")
            configs.append(config)
        assert step < 500
    assert status == 0
    assert steps > 40
    drain(configs, broker.port)
    assert assert_all_arrived_once(stub, configs) > 0


def test_killed_as_the_real_program_with_all_its_start(
    broker: Mosquitto, stub: BridgeStub, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    config = write_config(tmp_path, config_text(broker.port, tmp_path / "o.sqlite"))
    for seen in range(1, 4):
        process = start(config)
        until(lambda: len(stub.packs) >= 2 * seen, "some rounds")  # noqa: B023
        process.kill()
        process.wait(WAIT_S)
        books(config, tmp_path / "none")
    drain([config], broker.port)
    assert assert_all_arrived_once(stub, [config]) > 0
