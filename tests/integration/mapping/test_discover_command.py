"""`tidemark discover` as a user runs it, against a real broker."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from connectors.mapping.load import load_mappings, parse_mappings
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.payloads import FOLDER, recorded

pytestmark = pytest.mark.integration

WAIT_S = 60.0
AGAIN_S = 0.3
"""Devices publish so often: what comes before the command listens doesn't matter."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker."""
    made = Mosquitto(tmp_path)
    yield made
    made.stop()


class Devices:
    """Publishes recorded messages over and over."""

    def __init__(self, port: int, *names: str) -> None:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._messages = [one for name in names for one in recorded(name)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(AGAIN_S):
            for one in self._messages:
                if not one.topic.startswith("$"):
                    self._client.publish(one.topic, one.payload, retain=one.retained)

    def __enter__(self) -> "Devices":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(WAIT_S)
        self._client.disconnect()
        self._client.loop_stop()


def discover(port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TIDEMARK_MQTT__PORT": str(port), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "deploy.command.main", "discover", "--seconds", "2", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False)


def test_every_family_is_proposed_from_live_messages(broker: Mosquitto) -> None:
    names = sorted(path.stem for path in FOLDER.glob("*.jsonl"))
    with Devices(broker.port, *names):
        done = discover(broker.port, "--json", "--site", "plant")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    topics = {one["topic"] for one in report["proposals"]}
    assert {"tele/{device}/SENSOR", "zigbee2mqtt/{device}", "{device}/events/rpc", "lab/{device}/senml"} <= topics
    assert {"gateways/{device}/readings", "shellies/{device}/sensor/temperature", "plc/{device}/data"} <= topics
    assert report["preview"]["faults"] == []
    assert len(report["preview"]["readings"]) > 60
    assert {one["topic"] for one in report["not_mapped"]} > {"spBv1.0/plant/DDATA/edge-1/press", "home/door/state"}
    assert len(parse_mappings(report["mapping_file"])) == len(topics)


def test_the_file_goes_to_standard_output_and_what_is_for_people_beside_it(broker: Mosquitto) -> None:
    with Devices(broker.port, "tasmota"):
        done = discover(broker.port, "--topic", "tele/+/SENSOR", "--gateway", "hall")
    assert done.returncode == 0
    mappings = parse_mappings(done.stdout)
    assert mappings.filters == ("tele/+/SENSOR",)
    assert mappings.match("tele/x/SENSOR").home() == ("site-1", "hall")  # type: ignore[union-attr]
    assert "am2301.temperature" in done.stderr and "21.4" in done.stderr
    assert "UTC is a guess" in done.stderr


def test_out_writes_the_file_once_and_try_shows_what_it_makes(broker: Mosquitto, tmp_path: Path) -> None:
    file = tmp_path / "mappings.yaml"
    with Devices(broker.port, "shelly"):
        done = discover(broker.port, "--out", str(file))
        assert (done.returncode, done.stderr) == (0, "")
        assert len(load_mappings(file)) == 1
        assert "switch:0.apower" in done.stdout and "mappings_file" in done.stdout
        again = discover(broker.port, "--out", str(file))
        assert (again.returncode, "is there already" in again.stderr) == (1, True)
        file.write_text(file.read_text().replace(".apower", ".source").replace("form: epoch_s", "form: epoch_ms"))
        tried = discover(broker.port, "--try", str(file), "--json")
    assert tried.returncode == 0
    report = json.loads(tried.stdout)
    assert report["mapping_file"] == ""
    assert {one["mapping"] for one in report["preview"]["readings"]} == {"shelly-device-events-rpc"}


def test_it_says_so_when_it_can_not(broker: Mosquitto) -> None:
    with Devices(broker.port, "cannot"):
        done = discover(broker.port)
    assert done.returncode == 1
    for part in ("Sparkplug", "gzip", "without a number", "seems to be encoded", "Tidemark's own topics"):
        assert part in done.stdout, part
    assert "no mapping can be proposed" in done.stderr
    assert "\x1b" not in done.stdout


def test_silence_is_no_proposal(broker: Mosquitto) -> None:
    done = discover(broker.port, "--topic", "nobody/#")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing was published on nobody/#" in done.stderr


def test_a_broker_that_is_not_there_or_refuses_us_is_out_of_reach(tmp_path: Path) -> None:
    done = discover(free_port())
    assert (done.returncode, "no MQTT broker answers" in done.stderr) == (3, True)
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    closed = Mosquitto(tmp_path, "allow_anonymous false", f"password_file {passwords}")
    try:
        done = discover(closed.port)
    finally:
        closed.stop()
    assert (done.returncode, "refused the connection" in done.stderr) == (3, True)


@pytest.mark.parametrize(
    "arguments",
    [["--site", "a/b"], ["--gateway", "{x}"], ["--seconds", "0"], ["--topic", "a/#/b"], ["--try", "/absent.yaml"]],
)
def test_wrong_usage_is_told_before_anybody_listens(arguments: list[str]) -> None:
    done = discover(1, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
