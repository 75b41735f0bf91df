"""When the wall clock may be believed.

Most boards have no clock chip. After a power cut they come up with a time that is hours or decades old, until a time
server has answered. A reading stamped with it would be late or dead-lettered, and a clock that is wrong makes alerts
of its own. So no reading is stamped and nothing is sent (TLS would fail too) until the time is known. What is read
meanwhile is held in memory with the time since boot, which is right from the start, and is stamped when the
difference between both is known. A board without any time server needs a clock chip and `clock.trust = true`.
"""

import ctypes
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_LOG = logging.getLogger("tidemark.pi")
EARLIEST_MS = 1_735_689_600_000
"""2025-01-01: older than this program, so no clock that shows less is right, trusted or not."""

_MOST_ERROR_US = 16_000_000
"""The kernel's own bound for the error of a clock that nobody corrects: at this, it counts as not synchronised."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class _Timex(ctypes.Structure):
    """The beginning of `struct timex`; the rest is room enough for every architecture's."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_byte * 512),
    )


def kernel_synchronised() -> bool:
    """Whether a time server (or GPS, PTP) corrects the clock, as timedatectl's "System clock synchronized" tells it."""
    timex = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    return bool(state >= 0 and timex.maxerror < _MOST_ERROR_US)


def elapsed_ms() -> int:
    """Return milliseconds since boot, sleep included; no one sets this clock."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def wall_ms() -> int:
    """Return the wall clock's time."""
    return time.time_ns() // 1_000_000


@dataclass
class BoardClock:
    """Says whether the wall clock may stamp readings; once it may, it may until the next boot.

    A network that goes away leaves the clock drifting by seconds a day, which is no reason to stop. `marker` remembers
    that over a restart of the process: it holds the id of the boot in which the clock was synchronised.
    """

    trust: bool
    marker: Path
    synchronised: Callable[[], bool] = kernel_synchronised
    wall_ms: Callable[[], int] = wall_ms
    elapsed_ms: Callable[[], int] = elapsed_ms
    boot_id: Callable[[], str] = field(default=lambda: _BOOT_ID.read_text().strip())
    _known: bool = False

    def usable(self, *, remember: bool = True) -> bool:
        """Whether readings may be stamped now; `remember` writes the marker if that is news."""
        if self.wall_ms() < EARLIEST_MS:
            return False
        if self._known or self.trust:
            return True
        if self._marked():
            self._known = True
        elif self.synchronised():
            self._known = True
            if remember:
                self._mark()
        return self._known

    def offset_ms(self) -> int:
        """Return what to add to the time since boot to have the wall clock's."""
        return self.wall_ms() - self.elapsed_ms()

    def _marked(self) -> bool:
        try:
            return self.marker.read_text().strip() == self.boot_id()
        except FileNotFoundError:
            return False
        except (OSError, UnicodeDecodeError) as error:
            _LOG.warning("%s can't be read (%s): a restart will wait for the time server again", self.marker, error)
            return False

    def _mark(self) -> None:
        try:
            self.marker.write_text(self.boot_id() + "\n")
        except OSError as error:
            _LOG.warning("%s can't be written (%s): a restart will wait for the time server again", self.marker, error)
