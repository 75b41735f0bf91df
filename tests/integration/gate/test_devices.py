"""The real clients through TLS: readings arrive and are acknowledged, and `tidemark-pi check` tells the truth."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from connectors.kit.clock import ManualClock
from connectors.wire.series import Series, series_table
from simulators.device import Broker, Device, DeviceLoop, DeviceOptions, Draft
from tests.support.bridge_stub import BridgeStub
from tests.support.gate import SITE, GatedBroker, Login, until

pytestmark = pytest.mark.integration

TABLE = series_table((Series("press-1", "temperature", "Cel"),))
CONFIG = """
site = "{site}"
gateway = "{gateway}"
[mqtt]
host = "localhost"
port = {port}
ca_file = "{ca}"
username = "{user}"
password_file = "{password}"
[outbox]
path = "{folder}/pi.sqlite"
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[GatedBroker]:
    made = GatedBroker(tmp_path / "stack")
    yield made
    made.stop()


def test_a_devices_readings_arrive_and_are_acknowledged(broker: GatedBroker, tmp_path: Path) -> None:
    pi, ours = broker.add("pi-7"), broker.service()
    stub = BridgeStub(broker.settings.mqtt.port, login=(ours.name, ours.password))
    address = Broker("localhost", broker.port, pi.name, pi.password, tls=True, ca_file=broker.paths.ca)
    options = DeviceOptions(SITE, pi.name, tmp_path / "outbox.sqlite")
    device = Device(options, address, ManualClock(1_700_000_000_000), Random(1))
    device.declare(TABLE)
    loop = DeviceLoop([device])
    loop.start()
    try:
        loop.submit(0, [Draft(TABLE.id, 1_700_000_000_000 + at, [0], [0], [float(at)]) for at in range(50)])
        until(lambda: device.idle and len(stub.packs) == 50, "the acknowledgements")
        assert {gateway for gateway, _, _ in stub.packs} == {"pi-7"}
        assert stub.packs_before_table == 0
    finally:
        loop.stop()
        stub.close()
    assert stub.errors == []
    broker.refused()


def check(broker: GatedBroker, login: Login, folder: Path, gateway: str, ca: Path | None = None) -> dict[str, str]:
    """Run `tidemark-pi check`, and return what it says of the broker: verdict and detail."""
    password = folder / "password"
    password.write_text(login.password)
    password.chmod(0o600)
    config = folder / "config.toml"
    values = {"site": SITE, "gateway": gateway, "port": broker.port, "user": login.name, "folder": folder}
    config.write_text(CONFIG.format(ca=ca or broker.paths.ca, password=password, **values))
    command = [sys.executable, "-m", "deploy.raspberrypi.main", "check", "--json", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return {one["what"]: f"{one['verdict']}: {one['detail']}" for one in json.loads(done.stdout)}


def test_check_says_whether_the_login_is_right(broker: GatedBroker, tmp_path: Path) -> None:
    pi = broker.add("pi-7")
    assert check(broker, pi, tmp_path, "pi-7")["broker login"].startswith("ok: logged in")
    broker.refused()
    assert check(broker, Login("pi-7", "wrong"), tmp_path, "pi-7")["broker login"].startswith("wrong: refused")
    broker.refused(credentials=1)
    assert check(broker, pi, tmp_path, "pi-8")["broker login"].startswith("wrong: may not subscribe")
    broker.refused(subscription=1)
    other = GatedBroker(tmp_path / "other")
    try:
        assert "certificate is not accepted" in check(broker, pi, tmp_path, "pi-7", other.paths.ca)["broker"]
    finally:
        other.stop()
    broker.refused(tls=1)
