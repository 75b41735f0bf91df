"""The board's temperature and throttling, from each of the three places that know it."""

import subprocess
from pathlib import Path

import pytest

from deploy.raspberrypi.board import CONDITIONS, BoardTemperature, BoardThrottling, parse_throttled, since_boot
from deploy.raspberrypi.sensor import Fault, Value
from tests.support.pi_board import BOARD


def put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def throttling(root: Path, answer: str | Exception | None = None) -> dict[str, float | str]:
    def vcgencmd() -> str:
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    found = BoardThrottling(root, "board", None if answer is None else vcgencmd).read()
    return {one.quantity: one.value if isinstance(one, Value) else one.reason for one in found}


def test_temperature(tmp_path: Path) -> None:
    assert BoardTemperature(BOARD, "board").read() == [Value("temperature", 48.312)]
    file = tmp_path / "sys/class/thermal/thermal_zone0/temp"
    cases = ((None, "not-offered"), ("", "unreadable"), ("hot\n", "unreadable"), ("-274000\n", "out-of-range"))
    for text, reason in cases:
        if text is not None:
            put(file, text)
        (found,) = BoardTemperature(tmp_path, "board").read()
        assert isinstance(found, Fault)
        assert found.reason == reason


@pytest.mark.parametrize("bits", [0, 1, 0xF, 0x50005, 0xF0000])
def test_vcgencmd_knows_all_conditions(bits: int) -> None:
    found = throttling(BOARD, f"throttled={bits:#x}\n")
    assert found == {name: float(bits >> at & 1) for at, name in enumerate(CONDITIONS)}


@pytest.mark.parametrize(
    "error", [FileNotFoundError(), subprocess.CalledProcessError(255, "x"), subprocess.TimeoutExpired("x", 5)]
)
def test_without_vcgencmd_the_kernel_knows_under_voltage(error: Exception, tmp_path: Path) -> None:
    assert throttling(BOARD, error) == {"under-voltage": 0.0}
    put(tmp_path / "sys/class/hwmon/hwmon3/name", "rpi_volt\n")
    put(tmp_path / "sys/class/hwmon/hwmon3/in0_lcrit_alarm", "1\n")
    assert throttling(tmp_path, error) == {"under-voltage": 1.0}


def test_old_kernels_have_a_file_with_all_of_them(tmp_path: Path) -> None:
    put(tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    assert throttling(tmp_path) == {
        "under-voltage": 1.0, "frequency-capped": 0.0, "throttled": 1.0, "soft-temperature-limit": 0.0,
    }  # fmt: skip


def test_no_pi_and_nonsense(tmp_path: Path) -> None:
    assert throttling(tmp_path) == {"under-voltage": "not-offered"}
    assert throttling(BOARD, 'error=1 error_msg="Command not registered"') == {"under-voltage": "unreadable"}


def test_what_happened_since_boot() -> None:
    assert since_boot(parse_throttled("throttled=0xf0000")) == list(CONDITIONS)
    assert since_boot(0xF) == []
