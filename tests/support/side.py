"""A second broker and bridge beside the running stack, on its Kafka: a broker that is too small, a broken bridge.

Its bridge writes no heartbeats, so it can't vouch for readings that it has not seen; the job is not disturbed.
"""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from connectors.kit.settings import SETTINGS_VARIABLE, Settings
from deploy.local.effective import to_toml, write_private
from deploy.local.health import check_mqtt
from deploy.local.layout import PROJECT
from deploy.local.ports import free_ports
from deploy.local.programs.mosquitto import find_mosquitto
from tests.support.observe import wait_until

UP_S = 60.0
"""A Python process with its imports, on a busy machine."""

CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_inflight_messages {inflight}
max_queued_messages {queued}
sys_interval 1
"""


class Side:
    """A mosquitto and one bridge at a time.

    Parameters
    ----------
    settings
        Of the running stack.
    queued, inflight
        How many messages the broker keeps for the bridge, and how many of them it sends unacknowledged.
    """

    def __init__(self, settings: Settings, folder: Path, queued: int = 100_000, inflight: int = 1_000) -> None:
        self._folder = folder
        self._queue = queued, inflight
        broker, metrics = free_ports(2)
        mqtt = settings.mqtt.model_copy(update={"port": broker})
        bridge = settings.bridge.model_copy(
            update={
                "client_id": f"side-{folder.name[-20:]}",
                "metrics_port": metrics,
                "last_heartbeat_ms": 0,
                "max_inflight": inflight,
            }
        )
        self.settings = settings.model_copy(update={"mqtt": mqtt, "bridge": bridge})
        self._broker: subprocess.Popen[bytes] | None = None
        self._bridge: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_private(self._folder / "settings.toml", to_toml(self.settings))
        queued, inflight = self._queue
        self._config.write_text(CONFIGURATION.format(port=self.settings.mqtt.port, queued=queued, inflight=inflight))
        self.start_broker()
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._bridge, self._broker):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    @property
    def _config(self) -> Path:
        return self._folder / "mosquitto.conf"

    def start_broker(self) -> None:
        """Start the broker; it remembers nothing of an earlier life."""
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._broker = subprocess.Popen([find_mosquitto(), "-c", str(self._config)], stdout=log, stderr=log)
        wait_until(lambda: check_mqtt("127.0.0.1", self.settings.mqtt.port) is None, UP_S, "the second broker")

    def kill_broker(self) -> None:
        assert self._broker is not None
        self._broker.kill()
        self._broker.wait(UP_S)

    def start_bridge(self, *arguments: str) -> None:
        """Start `python -m <arguments>` as the bridge (the real one by default) and wait until it is ready."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
        environment = kept | {SETTINGS_VARIABLE: str(self._folder / "settings.toml")}
        command = [sys.executable, "-m", *(arguments or ("connectors.mqtt",))]
        with (self._folder / "bridge.log").open("ab") as log:
            self._bridge = subprocess.Popen(command, stdout=log, stderr=log, cwd=PROJECT, env=environment)
        wait_until(self._ready, UP_S, "the second bridge", lambda: (self._folder / "bridge.log").read_text()[-2_000:])

    def signal_bridge(self, number: signal.Signals) -> None:
        assert self._bridge is not None
        self._bridge.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self._bridge.wait(UP_S)

    def _ready(self) -> bool:
        assert self._bridge is not None
        assert self._bridge.poll() is None, (self._folder / "bridge.log").read_text()[-2_000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.settings.bridge.metrics_port}/readyz", timeout=2):
                return True
        except (OSError, urllib.error.URLError):
            return False
