"""DS18B20: what the kernel's file may say, and what is believed of it."""

import shutil
from pathlib import Path

import pytest

from deploy.raspberrypi.ds18b20 import Ds18b20, find_ds18b20, parse_w1_slave
from deploy.raspberrypi.sensor import Fault, Value
from tests.support.pi_board import BOARD, DATA

GOOD = {
    "room": 23.125,
    "below-zero": -10.125,
    "nine-bits": 25.5,
    "coldest": -55.0,
    "hottest": 125.0,
    "measured-85": 85.0,
}
BAD = {
    "power-on": "power-on-value",
    "clone-power-on": "power-on-value",
    "crc-wrong": "crc",
    "pulled-out": "crc",
    "shorted": "unreadable",
    "minus-127": "out-of-range",
    "too-little-power": "out-of-range",
    "cut-off": "unreadable",
    "empty": "unreadable",
}


def recorded(name: str) -> str:
    return (DATA / "w1_slave" / f"{name}.txt").read_text()


@pytest.mark.parametrize(("name", "celsius"), GOOD.items())
def test_what_was_measured_is_given(name: str, celsius: float) -> None:
    assert parse_w1_slave(recorded(name)) == Value("temperature", celsius)


@pytest.mark.parametrize(("name", "reason"), BAD.items())
def test_what_was_not_measured_is_not_made_up(name: str, reason: str) -> None:
    found = parse_w1_slave(recorded(name))
    assert isinstance(found, Fault)
    assert found.reason == reason


def test_every_recorded_answer_is_in_a_test() -> None:
    assert {path.stem for path in (DATA / "w1_slave").iterdir()} == set(GOOD) | set(BAD)


@pytest.mark.parametrize("text", ["\x00" * 50, "YES\nt=5", "t=23125", "é" * 40, "72 01 4b : crc=57 YES\n72 t=1\n"])
def test_nonsense_is_unreadable(text: str) -> None:
    found = parse_w1_slave(text)
    assert isinstance(found, Fault)
    assert found.reason == "unreadable"


def test_a_sensor_is_found_and_read() -> None:
    assert find_ds18b20(BOARD) == ["28-000005e2fdc3", "28-3c01d607cb43"]
    assert Ds18b20(BOARD, "28-3c01d607cb43", "freezer", "inside").read() == [Value("inside", -10.125)]


def test_gone_is_told_from_a_bus_that_is_off(tmp_path: Path) -> None:
    shutil.copytree(BOARD, tmp_path / "on")
    shutil.rmtree(tmp_path / "on/sys/bus/w1/devices/28-000005e2fdc3")
    for root, reason in (("on", "gone"), ("off", "no-bus")):
        (found,) = Ds18b20(tmp_path / root, "28-000005e2fdc3", "boiler").read()
        assert isinstance(found, Fault)
        assert found.reason == reason
    assert find_ds18b20(tmp_path / "off") == []
