"""Where the gate's files are."""

from dataclasses import dataclass
from pathlib import Path

FOLDER_NAME = "secrets"


@dataclass(frozen=True)
class GatePaths:
    """Files below the folder of one stack."""

    stack: Path

    @property
    def folder(self) -> Path:
        """Their folder, which its owner alone may enter."""
        return self.stack / FOLDER_NAME

    @property
    def ca(self) -> Path:
        """Certificate of the CA: the one file that gateways get; no secret."""
        return self.folder / "ca.crt"

    @property
    def ca_key(self) -> Path:
        """Key of the CA."""
        return self.folder / "ca.key"

    @property
    def server(self) -> Path:
        """Key and certificate of the broker."""
        return self.folder / "server.pem"

    @property
    def service_password(self) -> Path:
        """Password of Tidemark's own services."""
        return self.folder / "service-password"

    @property
    def admin_password(self) -> Path:
        """Password of the commands that change who may come in."""
        return self.folder / "admin-password"

    @property
    def registry(self) -> Path:
        """The gateways, with their passwords' hashes."""
        return self.folder / "gateways.json"

    @property
    def security(self) -> Path:
        """What mosquitto's plugin reads and writes: who may do what. Made from the registry at each start."""
        return self.folder / "mosquitto-security.json"

    @property
    def lock(self) -> Path:
        """Held by the one command that changes them."""
        return self.folder / "lock"
