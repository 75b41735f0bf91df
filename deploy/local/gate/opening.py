"""Before the broker starts: whether it may listen there, and its certificate, passwords and access list."""

import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime

from connectors.kit.listen import parse_listen
from connectors.kit.settings import Settings
from deploy.local.effective import is_gated
from deploy.local.gate.error import GateError
from deploy.local.gate.gate import Gate
from deploy.local.gate.machine import Machine, certificate_names, problem_with, this_machine
from deploy.local.gate.paths import GatePaths
from deploy.local.layout import Layout


def problem_of(settings: Settings, machine: Machine) -> str:
    """Return why the settings can't open a listener for gateways; empty if they can, or ask for none."""
    if not settings.stack.listen:
        return ""
    if not is_gated(settings):
        return "stack.listen is for the embedded broker: add mosquitto to stack.parts, or take stack.listen out"
    if not is_loopback(settings.mqtt.host):
        return (
            f"mqtt.host is {settings.mqtt.host}: with stack.listen, Tidemark's own listener, which has no TLS, stays "
            "on loopback; set mqtt.host to 127.0.0.1"
        )
    if settings.mqtt.tls:
        return "mqtt.tls is for a broker of your own; the embedded one is reached on loopback: set mqtt.tls to false"
    return problem_with(parse_listen(settings.stack.listen), machine)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's own alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def authority_name(machine: Machine) -> str:
    """Return what a new CA is called."""
    return f"Tidemark on {machine.name or 'a machine'}"


def prepare(settings: Settings, layout: Layout, echo: Callable[[str], None]) -> bool:
    """Make what an outer listener needs; return whether the broker's certificate is new.

    Raises
    ------
    GateError
        If the settings ask for what can't be, or a file can't be used.
    """
    if not settings.stack.listen:
        return False
    machine = this_machine()
    if why_not := problem_of(settings, machine):
        raise GateError(why_not)
    listen = parse_listen(settings.stack.listen)
    names = certificate_names(listen, settings.stack.listen_names, machine)
    why = Gate(GatePaths(layout.folder)).prepare(names, datetime.now(UTC), authority_name(machine))
    if why:
        echo(f"a certificate for the broker, because {why}: {', '.join(names)}")
    return bool(why)
