"""InfluxDB 1.8."""

import json
import shutil
from pathlib import Path

from connectors.kit.settings import Settings
from deploy.local.effective import write_private
from deploy.local.health import check_http
from deploy.local.layout import PARTS_HOME, Layout
from deploy.local.part import Launch, Part
from deploy.local.ports import PortUse, split_address

CONFIGURATION = """\
# Written by Tidemark at each start.
reporting-disabled = true
bind-address = {rpc}

[meta]
dir = {meta}
logging-enabled = false

[data]
dir = {data}
wal-dir = {wal}
index-version = "tsi1"
query-log-enabled = false
max-concurrent-compactions = 1
# A series a (gateway, device, quantity): 100,000 of them are a fleet, not a mistake.
max-series-per-database = 0
max-values-per-tag = 0

[monitor]
store-enabled = false

[subscriber]
enabled = false

[continuous_queries]
enabled = false

[http]
bind-address = {http}
log-enabled = false
flux-enabled = true
flux-log-enabled = false
pprof-enabled = false

[logging]
level = "warn"
suppress-logo = true
"""


def find_influxd() -> str:
    """Return the program that `make setup` built, else the one on the PATH."""
    ours = PARTS_HOME / "bin" / "influxd"
    return str(ours) if ours.exists() else shutil.which("influxd") or "influxd"


def influxd_part(settings: Settings, layout: Layout) -> Part:
    """Return the database server."""
    host, port = split_address(settings.influxdb.url)
    config = layout.config("influxdb.conf")
    return Part(
        name="influxd",
        launch=lambda: _launch(settings, config, layout.data("influxd")),
        check=lambda: check_http(f"http://{host}:{port}/ping"),
        address=f"http://{host}:{port}",
        ports=(
            PortUse("influxdb.url", host, port),
            PortUse("stack.influx_rpc_port", host, settings.stack.influx_rpc_port),
        ),
        stage=2,
    )


def _launch(settings: Settings, config: Path, data: Path) -> Launch:
    data.mkdir(parents=True, exist_ok=True)
    host, port = split_address(settings.influxdb.url)
    values = {
        "rpc": f"{host}:{settings.stack.influx_rpc_port}",
        "http": f"{host}:{port}",
        "meta": str(data / "meta"),
        "data": str(data / "data"),
        "wal": str(data / "wal"),
    }
    write_private(config, CONFIGURATION.format(**{name: json.dumps(value) for name, value in values.items()}))
    return Launch((find_influxd(), "-config", str(config)))
