"""Before the broker starts: whether it may listen there, and its certificate, passwords and access list."""

from collections.abc import Callable
from datetime import UTC, datetime

from connectors.kit.listen import parse_listen
from connectors.kit.settings import Settings
from deploy.local.gate.error import GateError
from deploy.local.gate.gate import Gate
from deploy.local.gate.machine import Machine, certificate_names, problem_of, this_machine
from deploy.local.gate.paths import GatePaths
from deploy.local.layout import Layout


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
