"""By which names and addresses gateways may reach this machine."""

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.kit.listen import ListenAddress, checked_host, parse_listen
from connectors.kit.settings import Settings
from deploy.local.effective import is_gated

LOCAL_NAME = "localhost"


@dataclass(frozen=True)
class Machine:
    """A machine's own name, empty where it can't stand in a certificate, and the addresses of its interfaces."""

    name: str
    addresses: tuple[str, ...]


def this_machine() -> Machine:
    """Look at this machine. Addresses that hold for one link alone (`fe80::…%eth0`) are left out."""
    import psutil

    families = (socket.AF_INET, socket.AF_INET6)
    found = [one.address for each in psutil.net_if_addrs().values() for one in each if one.family in families]
    kept = [text for text in found if "%" not in text and not ipaddress.ip_address(text).is_link_local]
    try:
        name = checked_host(socket.gethostname())
    except ValueError:
        name = ""
    return Machine(name, tuple(dict.fromkeys(kept)))


def problem_with(listen: ListenAddress, machine: Machine) -> str:
    """Return why the machine can't listen there; empty if it can."""
    address = ipaddress.ip_address(listen.host)
    own = {ipaddress.ip_address(text) for text in machine.addresses}
    if listen.is_everywhere or listen.is_loopback or address in own:
        return ""
    return (
        f"{listen.host} is no address of this machine; it has {', '.join(machine.addresses) or 'none'} "
        "(0.0.0.0 stands for all)"
    )


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


def certificate_names(listen: ListenAddress, more: Sequence[str], machine: Machine) -> tuple[str, ...]:
    """Return what the broker's certificate shall say that it is, sorted.

    >>> certificate_names(ListenAddress("10.0.0.5", 8883), ["tidemark.example"], Machine("hall", ("10.0.0.5",)))
    ('10.0.0.5', 'hall', 'hall.local', 'localhost', 'tidemark.example')
    """
    addresses = machine.addresses if listen.is_everywhere else (listen.host,)
    names = [machine.name] if machine.name else []
    if machine.name and "." not in machine.name:
        names.append(f"{machine.name}.local")
    return tuple(sorted({*addresses, *names, LOCAL_NAME, *more}))


def public_host(listen: ListenAddress, more: Sequence[str], machine: Machine) -> str:
    """Return the one of the certificate's names that gateways are told to use.

    A name that the user chose comes first; else the address, which needs no name service.

    >>> public_host(ListenAddress("0.0.0.0", 8883), [], Machine("hall", ("127.0.0.1", "10.0.0.5")))
    '10.0.0.5'
    """
    if more:
        return more[0]
    if not listen.is_everywhere:
        return listen.host
    outer = [text for text in machine.addresses if not ipaddress.ip_address(text).is_loopback]
    return outer[0] if outer else machine.name or LOCAL_NAME
