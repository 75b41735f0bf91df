"""The board itself: its temperature, and whether the firmware throttles it for want of volts or of cooling.

Both are a number in a file of the kernel's; a library (gpiozero, psutil) would read the same file for ten times the
memory. Throttling comes from the first of

1. `vcgencmd get_throttled`, which ships with Raspberry Pi OS and knows all four conditions,
2. the hwmon device `rpi_volt`, which every kernel has and which knows under-voltage alone,
3. `get_throttled` of the firmware's sysfs folder, which kernels since March 2025 don't have any more.
"""

import logging
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from deploy.raspberrypi.sensor import Fault, Quantities, Reason, Value, within

_LOG = logging.getLogger("tidemark.pi")
THERMAL_FILE = Path("sys/class/thermal/thermal_zone0/temp")
_HWMON = Path("sys/class/hwmon")
_FIRMWARE = "sys/devices/platform/soc*/*:firmware/get_throttled"
_VCGENCMD_TIMEOUT_S = 5.0
"""A firmware that doesn't answer must not hold the other sensors' readings."""

CONDITIONS = ("under-voltage", "frequency-capped", "throttled", "soft-temperature-limit")
"""Bits 0 to 3 of get_throttled: now. Bits 16 to 19: some time since the board was switched on."""
_SINCE_BOOT = 16

Vcgencmd = Callable[[], str]


def run_vcgencmd() -> str:
    """Ask the firmware. Raises `OSError` or `subprocess.SubprocessError`."""
    done = subprocess.run(
        ["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=_VCGENCMD_TIMEOUT_S, check=True
    )
    return done.stdout


def parse_throttled(text: str) -> int:
    """Return the bits, from vcgencmd's answer or from sysfs.

    >>> parse_throttled("throttled=0x50005"), parse_throttled("50005")
    (327685, 327685)
    """
    match = re.fullmatch(r"(?:throttled=)?(?:0x)?([0-9a-fA-F]{1,8})", text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is no answer of get_throttled")
    return int(match[1], 16)


def since_boot(bits: int) -> list[str]:
    """Return the conditions that were there some time since the board was switched on.

    >>> since_boot(0x50000)
    ['under-voltage', 'throttled']
    """
    return [name for at, name in enumerate(CONDITIONS) if bits >> (_SINCE_BOOT + at) & 1]


class BoardTemperature:
    """The processor's temperature."""

    quantities: Quantities = (("temperature", "Cel"),)

    def __init__(self, root: Path, device: str) -> None:
        self.device = device
        self._file = root / THERMAL_FILE

    @property
    def place(self) -> str:
        """Where it is."""
        return "board's temperature"

    def read(self) -> list[Value | Fault]:
        """Read it."""
        try:
            text = self._file.read_text(errors="replace").strip()
            return [within("temperature", int(text) / 1000, -40, 125)]
        except OSError as error:
            return [Fault("temperature", _reason(error), f"{self._file}: {error.strerror}")]
        except ValueError:
            return [Fault("temperature", "unreadable", repr(text[:40]))]


class BoardThrottling:
    """Four switches (1 on, 0 off), or the under-voltage one alone where the kernel offers no more."""

    quantities: Quantities = tuple((name, "/") for name in CONDITIONS)

    def __init__(self, root: Path, device: str, vcgencmd: Vcgencmd | None = run_vcgencmd) -> None:
        self.device = device
        self._root, self._vcgencmd = root, vcgencmd

    @property
    def place(self) -> str:
        """Where it is."""
        return "board's throttling"

    def read(self) -> list[Value | Fault]:
        """Read it from the first source that answers."""
        try:
            bits = self.bits()
            if bits is not None:
                return [Value(name, float(bits >> at & 1)) for at, name in enumerate(CONDITIONS)]
            return [Value(CONDITIONS[0], float(self._alarm()))]
        except OSError as error:
            return [Fault(CONDITIONS[0], _reason(error), str(error))]
        except ValueError as error:
            return [Fault(CONDITIONS[0], "unreadable", str(error))]

    def bits(self) -> int | None:
        """Return get_throttled's bits, or None where only under-voltage is known. Raises `OSError`, `ValueError`."""
        if self._vcgencmd is not None:
            try:
                return parse_throttled(self._vcgencmd())
            except FileNotFoundError:
                # Not Raspberry Pi OS: it won't come.
                self._vcgencmd = None
            except (OSError, subprocess.SubprocessError) as error:
                # No right to /dev/vcio, or no answer in time: the next source, this time.
                _LOG.debug("vcgencmd: %s", error)
        if self._alarm_file() is not None:
            return None
        for file in sorted(self._root.glob(_FIRMWARE)):
            return parse_throttled(file.read_text(errors="replace"))
        raise FileNotFoundError("neither vcgencmd nor the hwmon device rpi_volt is there")

    def _alarm(self) -> int:
        file = self._alarm_file()
        if file is None:
            raise FileNotFoundError("the hwmon device rpi_volt is gone")
        return int(file.read_text(errors="replace").strip() == "1")

    def _alarm_file(self) -> Path | None:
        for folder in sorted((self._root / _HWMON).glob("hwmon*")):
            name, alarm = folder / "name", folder / "in0_lcrit_alarm"
            if alarm.exists() and name.exists() and name.read_text(errors="replace").strip() == "rpi_volt":
                return alarm
        return None


def _reason(error: OSError) -> Reason:
    return "not-allowed" if isinstance(error, PermissionError) else "not-offered"
