"""`tidemark simulate` and `tidemark replay` as a user runs them, against a real broker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.wire.pack import Pack
from simulators.device import Outbox
from simulators.truth import read_truth
from tests.support.bridge_stub import BridgeStub
from tests.support.mosquitto import Mosquitto, free_port

pytestmark = pytest.mark.integration

WAIT_S = 60.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker."""
    made = Mosquitto(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def stub(broker: Mosquitto) -> Iterator[BridgeStub]:
    """A stand-in for the bridge."""
    made = BridgeStub(broker.port)
    yield made
    made.close()
    assert made.errors == []


def environment(folder: Path, port: int, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "TIDEMARK_MQTT__PORT": str(port),
        "TIDEMARK_MQTT__RECONNECT_MIN_S": "0.1",
        "TIDEMARK_STACK__DATA": str(folder / "var"),
        **more,
    }


def start(arguments: list[str], env: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "deploy.command.main", *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def tidemark(arguments: list[str], env: dict[str, str]) -> tuple[int, dict[str, Any], str]:
    process = start([*arguments, "--json"], env)
    out, err = process.communicate(timeout=WAIT_S)
    return process.returncode, json.loads(out) if out else {}, err


def packs(stub: BridgeStub, prefix: str) -> list[Pack]:
    return [
        pack for (gateway, _, _), pack in zip(stub.packs, stub.decoded(), strict=True) if gateway.startswith(prefix)
    ]


def test_simulate_sends_what_it_says(tmp_path: Path, broker: Mosquitto, stub: BridgeStub) -> None:
    arguments = "simulate --devices 50 --rate 500 --duration 2 --seed 5 --gateways 5 --pack 40 --sync OFF".split()
    code, report, err = tidemark(arguments, environment(tmp_path, broker.port))
    assert (code, err) == (0, "")
    readings = sum(len(pack.values) for pack in packs(stub, "sim"))
    assert report["sent"] == report["acknowledged"] == readings
    assert (report["in_outboxes"], report["gateways"], report["devices"], report["seed"]) == (0, 5, 50, 5)
    assert max(len(pack.values) for pack in packs(stub, "sim")) <= 40


def test_faults_come_with_their_truth(tmp_path: Path, broker: Mosquitto, stub: BridgeStub) -> None:
    origin = 1_800_000_000_000
    env = environment(
        tmp_path,
        broker.port,
        TIDEMARK_CLOCK__ORIGIN_MS=str(origin),
        TIDEMARK_CLOCK__STARTED_AT_MS=str(int(time.time() * 1000)),
        TIDEMARK_CLOCK__SPEED="1000",
    )
    truth = tmp_path / "truth.jsonl"
    arguments = "simulate --devices 10 --rate 6 --duration 3000 --seed 5 --sync OFF --warmup 20 --faults spike,stuck"
    code, report, err = tidemark([*arguments.split(), "--truth", str(truth)], env)
    assert (code, err) == (0, "")
    assert report["faults"] == {"spike": 2, "stuck": 2}
    faults = read_truth(truth)
    assert len(faults) == 4
    assert all(fault.start_ms >= origin + 200_000 for fault in faults)
    assert report["sent"] == 10 * 2 * 3 * 300


def test_a_broker_out_of_reach_is_told_by_the_exit_code_and_the_readings_stay(tmp_path: Path) -> None:
    arguments = "simulate --devices 4 --rate 100 --duration 1 --sync OFF --drain 0.3".split()
    code, report, _ = tidemark(arguments, environment(tmp_path, free_port()))
    assert code == 3
    assert report["acknowledged"] == 0
    assert report["in_outboxes"] == report["sent"] > 0


def test_what_was_left_goes_with_the_next_run(tmp_path: Path, broker: Mosquitto) -> None:
    arguments = "simulate --devices 4 --rate 100 --duration 1 --sync OFF --seed 1".split()
    code, left, _ = tidemark([*arguments, "--drain", "0.3"], environment(tmp_path, broker.port))
    assert (code, left["acknowledged"]) == (1, 0)
    stub = BridgeStub(broker.port)
    code, report, _ = tidemark(arguments, environment(tmp_path, broker.port))
    stub.close()
    assert code == 0
    assert report["in_outboxes_before"] == left["sent"]
    assert report["acknowledged"] == left["sent"] + report["sent"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_its_summary(
    tmp_path: Path, broker: Mosquitto, stub: BridgeStub, number: signal.Signals, code: int
) -> None:
    arguments = "simulate --devices 20 --rate 400 --duration 600 --sync OFF --json".split()
    process = start(arguments, environment(tmp_path, broker.port))
    end = time.monotonic() + WAIT_S
    while not stub.packs and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=WAIT_S)
    assert (process.returncode, err) == (code, "")
    report = json.loads(out)
    assert not report["finished"]
    assert report["sent"] == report["acknowledged"] + report["in_outboxes"]
    if number == signal.SIGTERM:
        assert report["in_outboxes"] == 0
    outbox = Outbox(next((tmp_path / "var" / "simulate").glob("*.sqlite")), "sim-001")
    assert outbox.counts().pending_readings == report["in_outboxes"]
    outbox.close()


def test_replay_sends_a_recording(tmp_path: Path, broker: Mosquitto, stub: BridgeStub) -> None:
    path = tmp_path / "machine.csv"
    rows = "".join(f"2013-12-02 {at // 60:02d}:{at % 60:02d}:00,{at}.5\n" for at in range(0, 600, 5))
    path.write_text("timestamp,value\n" + rows)
    arguments = [
        "replay",
        str(path),
        "--gateway",
        "hall",
        "--quantity",
        "temperature",
        "--unit",
        "Cel",
        "--shift-days",
        "30",
    ]
    code, report, err = tidemark(arguments, environment(tmp_path, broker.port))
    assert (code, err) == (0, "")
    assert report["sent"] == report["acknowledged"] == 120
    sent = sorted((pack.base_ms, pack.values) for pack in packs(stub, "hall"))
    assert sent[0][0] == 1_385_942_400_000 + 30 * 86_400_000
    assert [value for _, values in sent for value in values] == [at + 0.5 for at in range(0, 600, 5)]
    (table,) = [table for table in stub.tables.values() if table.series[0].device == "machine"]
    assert (table.series[0].quantity, table.series[0].unit) == ("temperature", "Cel")
