"""`tidemark-pi` on a board that isn't there: `python -m tests.support.pi_program run --config … --root …`.

The I²C bus is a register dump and the clock's state a file, named by PI_TEST_SYNCHRONISED; without it, synchronised.
"""

import os
import sys
from pathlib import Path

from deploy.raspberrypi.main import command
from deploy.raspberrypi.wiring import Wiring
from tests.support.pi_board import bme280_bus


def wiring() -> Wiring:
    """Return the stand-ins."""
    state = os.environ.get("PI_TEST_SYNCHRONISED")
    return Wiring(open_bus=bme280_bus().open, vcgencmd=None, synchronised=lambda: state is None or Path(state).exists())


if __name__ == "__main__":
    sys.exit(command(sys.argv[1:], wiring()))
