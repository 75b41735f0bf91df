"""`tidemark-pi check` and `init`: findings, mends, exit codes, without a broker."""

import json
from pathlib import Path

import pytest

from deploy.raspberrypi.check import examine
from deploy.raspberrypi.config import load_config
from deploy.raspberrypi.finding import Finding
from deploy.raspberrypi.main import command
from deploy.raspberrypi.wiring import Wiring
from tests.support.mosquitto import free_port
from tests.support.pi_board import BOARD, DumpBus, bme280_bus, config_text, read_dump


def wiring(bus: DumpBus | None = None, synchronised: bool = True, root: Path = BOARD) -> Wiring:
    return Wiring(root, (bus or bme280_bus()).open, None, lambda: synchronised)


def looked_at(folder: Path, with_: Wiring, text: str | None = None) -> tuple[dict[str, list[Finding]], int]:
    file = folder / "c.toml"
    file.write_text(text if text is not None else config_text(free_port(), folder / "o.sqlite"))
    findings, code = examine(file, with_)
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.what, []).append(finding)
        assert finding.verdict == "ok" or finding.mend, finding
    return found, code


def test_only_the_broker_is_missing(tmp_path: Path) -> None:
    found, code = looked_at(tmp_path, wiring())
    assert code == 3
    assert found["broker"][0].verdict == "unreachable"
    assert {one.verdict for what, some in found.items() if what != "broker" for one in some} == {"ok"}
    assert found["room/pressure"][0].detail.startswith("100653 Pa")


def test_a_config_that_is_wrong_is_the_only_finding(tmp_path: Path) -> None:
    found, code = looked_at(tmp_path, wiring(), 'site = "s"\nperiod_s = -1\n')
    assert code == 2
    assert set(found) == {"gateway", "mqtt", "period_s"}
    assert "-1" in found["period_s"][0].detail


def test_sensors_that_fail_have_a_mend_each(tmp_path: Path) -> None:
    found, code = looked_at(tmp_path, wiring(bme280_bus("bmp280.txt"), root=tmp_path / "empty"))
    assert code == 1
    assert "BMP280" in found["room/humidity"][0].mend
    assert "1-Wire" in found["boiler/temperature"][0].mend
    assert "w1-gpio" in found["1-wire"][0].mend
    assert found["board/temperature"][0].verdict == "wrong"


def test_sensors_that_are_not_in_the_config_are_shown(tmp_path: Path) -> None:
    bus = DumpBus({0x76: read_dump("bme280-module.txt"), 0x77: read_dump("bme280-module.txt")})
    text = config_text(free_port(), tmp_path / "o.sqlite").replace("28-3c01d607cb43", "28-aaaaaaaaaaaa")
    found, _ = looked_at(tmp_path, wiring(bus), text)
    warnings = [one for one in found["config"] if one.verdict == "warning"]
    assert ['id = "28-3c01d607cb43"' in warnings[0].mend, "address = 0x77" in warnings[1].mend] == [True, True]
    assert found["freezer/temperature"][0].verdict == "wrong"


@pytest.mark.parametrize(("synchronised", "verdict"), [(True, "ok"), (False, "wrong")])
def test_the_clock(tmp_path: Path, synchronised: bool, verdict: str) -> None:
    text = config_text(free_port(), tmp_path / "o.sqlite").replace("trust = true", "")
    found, _ = looked_at(tmp_path, wiring(synchronised=synchronised), text)
    assert found["clock"][0].verdict == verdict


def test_the_outbox(tmp_path: Path) -> None:
    found, code = looked_at(tmp_path, wiring(), config_text(free_port(), tmp_path / "none" / "o.sqlite"))
    assert (code, found["outbox"][0].verdict) == (1, "wrong")
    (tmp_path / "o.sqlite").write_text("this is no database, however long it is")
    found, _ = looked_at(tmp_path, wiring())
    assert found["outbox"][1].verdict == "wrong"


def test_under_voltage_since_boot_is_a_warning(tmp_path: Path) -> None:
    board = Wiring(BOARD, bme280_bus().open, lambda: "throttled=0x50000", lambda: True)
    found, _ = looked_at(tmp_path, board)
    assert found["board"][0].verdict == "warning"
    assert "under-voltage, throttled" in found["board"][0].detail


def init(tmp_path: Path, *more: str) -> int:
    required = ["--site", "plant-1", "--gateway", "pi-7", "--host", "broker.example"]
    return command(["init", *required, "--root", str(BOARD), "--output", str(tmp_path / "new.toml"), *more], wiring())


def test_init_writes_a_config_with_what_is_there(tmp_path: Path) -> None:
    login = ["--username", 'o"dd', "--password-file", "/p", "--ca-file", "/ca", "--outbox", "/o"]
    assert init(tmp_path, *login) == 0
    config = load_config(tmp_path / "new.toml")
    assert [one.id for one in config.ds18b20] == ["28-000005e2fdc3", "28-3c01d607cb43"]
    assert [one.address for one in config.bme280] == [0x76]
    assert (config.mqtt.username, config.mqtt.ca_file, config.outbox.path) == ('o"dd', Path("/ca"), Path("/o"))


def test_init_never_writes_over_a_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "new.toml").write_text("mine")
    assert init(tmp_path) == 1
    assert (tmp_path / "new.toml").read_text() == "mine"
    assert "is there already" in capsys.readouterr().err


def test_init_refuses_what_check_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path, "--gateway", "a/b", "--port", "99999") == 2
    assert not (tmp_path / "new.toml").exists()
    said = capsys.readouterr().err
    assert "gateway = 'a/b'" in said
    assert "mqtt.port = 99999" in said


def test_json_and_text_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.toml"
    file.write_text(config_text(free_port(), tmp_path / "o.sqlite"))
    codes = [command(["check", "--config", str(file), *more], wiring()) for more in ([], ["--json"])]
    text, _, as_json = capsys.readouterr().out.rpartition("\n[")
    findings = json.loads("[" + as_json)
    assert codes == [3, 3]
    assert all(finding["detail"] in text for finding in findings)


@pytest.mark.parametrize("arguments", [[], ["run", "--nope"], ["init", "--site", "x"]])
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command(arguments, wiring())
    assert "usage" in capsys.readouterr().err


def test_run_with_a_wrong_config_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["run", "--config", str(tmp_path / "none.toml")], wiring()) == 2
    assert "tidemark-pi init" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["run", "check", "init"])
def test_help_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        command([name, "--help"], wiring())
    assert "Example: " in capsys.readouterr().out
