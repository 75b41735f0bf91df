"""The InfluxDB writer, killed when it has written something and is about to commit its offsets."""

import os
import signal
from typing import NoReturn

from connectors.influxdb.service import body
from connectors.influxdb.source import Source
from connectors.kit.service import run_service


def die(self: Source, records: object) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


if __name__ == "__main__":
    Source.commit = die  # type: ignore[method-assign, assignment]
    run_service("killed-writer", body)
