"""Where the embedded broker listens beyond loopback, as people write it: an address, perhaps a port, perhaps names."""

import ipaddress
import re
from dataclasses import dataclass

DEFAULT_PORT = 8883
"""MQTT over TLS."""

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
MAX_HOST_NAME = 253
"""Characters of a DNS name."""


@dataclass(frozen=True)
class ListenAddress:
    """An address of this machine, without brackets, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_everywhere(self) -> bool:
        """Whether it stands for every address of the machine."""
        return ipaddress.ip_address(self.host).is_unspecified

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback


def parse_listen(text: str) -> ListenAddress:
    """Read `ADDR` or `ADDR:PORT`; IPv6 with a port stands in brackets.

    >>> str(parse_listen("192.168.1.5")), str(parse_listen("[fd00::5]:9000")), parse_listen("::").host
    ('192.168.1.5:8883', '[fd00::5]:9000', '::')

    Raises
    ------
    ValueError
        If it is none; the message says what is wrong and what to write.
    """
    host, port = _parted(text.strip())
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or getattr(address, "scope_id", None):
        raise ValueError(
            f"{text!r} is no address; give one of this machine's, as 192.168.1.5 or 192.168.1.5:{DEFAULT_PORT}, "
            "or 0.0.0.0 for all of them"
        )
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(f"{text!r}: port {port!r} is none from 1 to 65535")
    return ListenAddress(str(address), int(port))


def _parted(text: str) -> tuple[str, str]:
    if text.startswith("[") and "]" in text:
        host, _, rest = text[1:].partition("]")
        return host, (rest[1:] if rest.startswith(":") else str(DEFAULT_PORT) if not rest else rest)
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, str(DEFAULT_PORT)


def checked_host(text: str) -> str:
    """Return a DNS name or an address that a certificate can hold.

    >>> checked_host("tidemark.example"), checked_host("fd00:0::5")
    ('tidemark.example', 'fd00::5')

    Raises
    ------
    ValueError
        If it is neither.
    """
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if len(text) <= MAX_HOST_NAME and _HOST_NAME.fullmatch(text):
            return text
    raise ValueError(f"{text!r} is neither a DNS name, as tidemark.example, nor an address")
