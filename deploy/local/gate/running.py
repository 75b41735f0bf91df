"""A broker that runs: with which settings it was started, and how others log in."""

import tomllib
from pathlib import Path
from typing import Any

from connectors.kit.settings import MqttSettings, Settings
from deploy.local.effective import SERVICE_USER
from deploy.local.gate.machine import is_loopback
from deploy.local.gate.paths import GatePaths
from deploy.local.layout import Layout
from deploy.local.processes import is_alive


def broker_pid(layout: Layout) -> int | None:
    """Return the pid of the stack's broker; None if none runs."""
    try:
        pid = int(layout.pid_file("mosquitto").read_text())
        name = Path("/proc", str(pid), "comm").read_text().strip()
    except (OSError, ValueError):
        return None
    # A pid that is another program's by now, or the broker's shell just before it becomes the broker.
    return pid if name == "mosquitto" and is_alive(pid) else None


def recorded(folder: Path) -> dict[str, Any]:
    """Return the settings with which the stack in a folder was last started; empty if it never was."""
    try:
        return tomllib.loads(Layout(folder.absolute()).settings_file.read_text())
    except (OSError, ValueError):
        return {}


def as_started(settings: Settings, folder: Path, *, also_ended: bool = False) -> Settings:
    """Return the settings with the listener that the broker in `folder` was started with, while it runs.

    `tidemark up --listen` names one that stands in no settings file; the commands after it must know of it.

    Parameters
    ----------
    also_ended
        Where the settings name no listener: that of the last start, though its broker has ended.
    """
    layout = Layout(folder.absolute())
    if broker_pid(layout) is None and (settings.stack.listen or not also_ended):
        return settings
    stack = recorded(folder).get("stack", {})
    if not isinstance(stack.get("listen"), str):
        return settings
    listener = {"listen": stack["listen"], "listen_names": list(stack.get("listen_names", []))}
    return settings.model_copy(update={"stack": settings.stack.model_copy(update=listener)})


def with_login(settings: Settings) -> Settings:
    """Return the settings with the login of Tidemark's own, where they mean an embedded broker that asks for one.

    For commands in the user's shell; what the stack itself starts gets it with its settings.
    """
    folder = settings.stack.data.absolute()
    mqtt: MqttSettings = settings.mqtt
    started = recorded(folder).get("mqtt", {})
    paths = GatePaths(folder)
    is_the_stacks = (started.get("host"), started.get("port")) == (mqtt.host, mqtt.port) and is_loopback(mqtt.host)
    asks = started.get("username") == SERVICE_USER and started.get("password_file") == str(paths.service_password)
    if mqtt.username or mqtt.tls or not (is_the_stacks and asks):
        return settings
    login = {"username": SERVICE_USER, "password_file": paths.service_password}
    return settings.model_copy(update={"mqtt": mqtt.model_copy(update=login)})
