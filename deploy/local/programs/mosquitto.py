"""mosquitto, the MQTT broker: on loopback alone, or with a listener for gateways, too."""

import getpass
import os
import resource
from pathlib import Path

from connectors.kit.listen import ListenAddress, parse_listen
from connectors.kit.settings import Settings
from deploy.local.effective import is_gated, write_private
from deploy.local.gate.error import GateError
from deploy.local.gate.filtered import filtered
from deploy.local.gate.paths import GatePaths
from deploy.local.health import check_mqtt
from deploy.local.layout import Layout
from deploy.local.part import Launch, Part
from deploy.local.ports import PortUse
from deploy.local.supervisor import OPEN_FILES

CONFIGURATION = """\
# Written by Tidemark at each start.
listener {port} {host}
{who}
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
{memory}sys_interval 5

log_dest stderr
log_timestamp_format %Y-%m-%dT%H:%M:%S
log_type error
log_type warning
log_type notice
"""

ANYBODY = """\
# Loopback only: whoever can connect is on this machine already.
allow_anonymous true"""

KNOWN = """\
# Gateways come by the listener below, and a user is known by the same password on both.
allow_anonymous false
plugin {plugin}
plugin_opt_config_file {gate.security}"""

OUTER = """\
# Who is refused what: the only place where this version says it. A filter drops the lines of what is passed on.
log_type subscribe
log_type debug

# What a user no longer may write was perhaps left retained: it isn't delivered.
check_retain_source true
# A connection that says nothing for longer is closed, so that dead ones don't add up (MQTT 5 alone has such a limit).
max_keepalive 3600

# For gateways.
listener {listener}
# The lowest version; 1.3 is taken, too.
tls_version tlsv1.2
cafile {gate.ca}
certfile {gate.server}
keyfile {gate.server}
# Nobody can take another's session, whatever client id is given.
use_username_as_clientid true
# Leaves files for Tidemark's own connections and for the broker's data.
max_connections {connections}
"""

MOST_CONNECTIONS = 20_000
"""Twice the fleet that the queue is made for."""

MEMORY_BYTES = 2 * 2**30
"""What queues may grow to before the broker refuses more; a machine has less to spare."""

PLUGIN = "mosquitto_dynamic_security.so"

FILTER_GRACE_S = 2.0
"""The log's filter ends with the broker's last line; only a broken one takes longer."""


def find_mosquitto() -> str:
    """Return the program; Debian puts it where only root's PATH looks."""
    import shutil

    path = os.environ.get("PATH", os.defpath)
    return shutil.which("mosquitto", path=os.pathsep.join([path, "/usr/sbin", "/usr/local/sbin"])) or "mosquitto"


def find_plugin() -> Path:
    """Return mosquitto's own plugin for users and access, which its packages bring. Raises `GateError`."""
    for folder in ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"):
        for pattern in (PLUGIN, f"*/{PLUGIN}"):
            if found := sorted(Path(folder).glob(pattern)):
                return found[0]
    raise GateError(f"{PLUGIN} is not there, and stack.listen needs it: apt install mosquitto (2.0 or later)")


def mosquitto_part(settings: Settings, layout: Layout) -> Part:
    """Return the broker."""
    mqtt = settings.mqtt
    config = layout.config("mosquitto.conf")
    outer = parse_listen(settings.stack.listen) if is_gated(settings) else None
    inner = PortUse("mqtt.port", mqtt.host, mqtt.port)
    login = (lambda: (mqtt.username, mqtt.secret())) if outer else None
    return Part(
        name="mosquitto",
        launch=lambda: _launch(settings, config, layout),
        check=lambda: check_mqtt(mqtt.host, mqtt.port, login),
        address=f"mqtt://{mqtt.host}:{mqtt.port}" + (f", mqtts://{outer}" if outer else ""),
        ports=(inner, PortUse("stack.listen", outer.host, outer.port)) if outer else (inner,),
        stage=2,
        grace_s=FILTER_GRACE_S if outer else 0.0,
    )


def configuration(settings: Settings, layout: Layout, user: str, open_files: int) -> str:
    """Return mosquitto's configuration; `user` is whom it becomes when root starts it."""
    gate = GatePaths(layout.folder)
    outer = parse_listen(settings.stack.listen) if is_gated(settings) else None
    text = CONFIGURATION.format(
        host=settings.mqtt.host,
        port=settings.mqtt.port,
        # The plugin and the broker count memory differently, and the count soon falls below zero: with a limit of its
        # own the broker then refuses everybody. So the system limits it.
        memory="" if outer else f"memory_limit {MEMORY_BYTES}\n",
        who=KNOWN.format(gate=gate, plugin=find_plugin()) if outer else ANYBODY,
        user=user,
        data=layout.data("mosquitto"),
        inflight=max(1000, settings.bridge.max_inflight),
    )
    if outer is None:
        return text
    connections = max(1, min(MOST_CONNECTIONS, open_files // 2))
    return text + OUTER.format(listener=_listener(outer), gate=gate, connections=connections)


def _listener(outer: ListenAddress) -> str:
    # Without an address it takes both families; with `::` it would take IPv6 alone.
    return str(outer.port) if outer.host == "::" else f"{outer.port} {outer.host}"


def _launch(settings: Settings, config: Path, layout: Layout) -> Launch:
    layout.data("mosquitto").mkdir(parents=True, exist_ok=True)
    write_private(config, configuration(settings, layout, getpass.getuser(), _open_files()))
    if is_gated(settings):
        return Launch(filtered(find_mosquitto(), str(config), MEMORY_BYTES))
    return Launch((find_mosquitto(), "-c", str(config)))


def _open_files() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
