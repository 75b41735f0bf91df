"""mosquitto, the MQTT broker."""

import getpass
import os
from pathlib import Path

from connectors.kit.settings import Settings
from deploy.local.effective import write_private
from deploy.local.health import check_mqtt
from deploy.local.layout import Layout
from deploy.local.part import Launch, Part
from deploy.local.ports import PortUse

CONFIGURATION = """\
# Written by Tidemark at each start.
listener {port} {host}
# Loopback only: whoever can connect is on this machine already.
allow_anonymous true
user {user}
set_tcp_nodelay true

# Sessions, retained series tables, status and acks outlive a restart; what a kill loses of a second's messages, devices
# send again from their outboxes. Written each second and not at each change: a change rewrites the whole file, which
# under load costs more than the broker's own work and still loses messages that were acknowledged.
persistence true
persistence_location {data}/
autosave_interval 1
autosave_on_changes false
persistent_client_expiration 14d

# The bridge takes this many at once; with the default of 20 it would stall.
max_inflight_messages {inflight}
# Beyond this the broker drops the newest silently. Devices keep at most 64 packs unacknowledged, so a fleet of 10,000
# gateways stays below it while the bridge is away.
max_queued_messages 1000000
max_queued_bytes 1073741824
# Above the bridge's own limit, so that a pack too large is dead-lettered and not refused for ever, and wide enough for
# the series table of a gateway with some thousand series.
max_packet_size 262144
memory_limit 2147483648
sys_interval 5

log_dest stderr
log_timestamp_format %Y-%m-%dT%H:%M:%S
log_type error
log_type warning
log_type notice
"""


def find_mosquitto() -> str:
    """Return the program; Debian puts it where only root's PATH looks."""
    import shutil

    path = os.environ.get("PATH", os.defpath)
    return shutil.which("mosquitto", path=os.pathsep.join([path, "/usr/sbin", "/usr/local/sbin"])) or "mosquitto"


def mosquitto_part(settings: Settings, layout: Layout) -> Part:
    """Return the broker."""
    host, port = settings.mqtt.host, settings.mqtt.port
    config = layout.config("mosquitto.conf")
    return Part(
        name="mosquitto",
        launch=lambda: _launch(settings, config, layout.data("mosquitto")),
        check=lambda: check_mqtt(host, port),
        address=f"mqtt://{host}:{port}",
        ports=(PortUse("mqtt.port", host, port),),
        stage=2,
    )


def _launch(settings: Settings, config: Path, data: Path) -> Launch:
    data.mkdir(parents=True, exist_ok=True)
    inflight = max(1000, settings.bridge.max_inflight)
    write_private(
        config,
        CONFIGURATION.format(
            host=settings.mqtt.host, port=settings.mqtt.port, user=getpass.getuser(), data=data, inflight=inflight
        ),
    )
    return Launch((find_mosquitto(), "-c", str(config)))
