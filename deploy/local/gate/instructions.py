"""What to type so that a new gateway comes in. Pure."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from connectors.kit.listen import DEFAULT_PORT

INSTALL = "deploy/raspberrypi/install.sh"


@dataclass(frozen=True)
class Invitation:
    """A gateway's login and how it reaches the broker.

    Attributes
    ----------
    password_file
        Where the password was written; None if it is to be typed.
    """

    site: str
    gateway: str
    host: str
    port: int
    ca: Path
    password_file: Path | None

    def copies(self) -> list[Path]:
        """Return the files that the Pi needs."""
        return [self.ca, *([self.password_file] if self.password_file else [])]

    def here(self) -> str:
        """Return the line to type on this machine."""
        return shlex.join(["scp", *map(str, self.copies()), f"pi@{_host_name(self.gateway)}:"])

    def on_the_pi(self) -> str:
        """Return the line to type on the Pi, in Tidemark's folder."""
        words = ["sudo", INSTALL, "--site", self.site, "--gateway", self.gateway, "--host", self.host]
        if self.port != DEFAULT_PORT:
            words += ["--port", str(self.port)]
        line = f"{shlex.join(words)} --ca ~/{self.ca.name} --username {shlex.quote(self.gateway)}"
        return line + (f" --password-file ~/{shlex.quote(self.password_file.name)}" if self.password_file else "")


def _host_name(gateway: str) -> str:
    """Return a gateway's name as a host's, where it can be one: it often is."""
    return gateway if gateway.isascii() and gateway.replace("-", "").isalnum() else "PI"
