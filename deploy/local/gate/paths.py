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
    def registry(self) -> Path:
        """The gateways, with their passwords' hashes."""
        return self.folder / "gateways.json"

    @property
    def passwords(self) -> Path:
        """What mosquitto reads: names and hashes. Written from the registry."""
        return self.folder / "mosquitto-passwords"

    @property
    def acl(self) -> Path:
        """What mosquitto reads: who may do what. Written from the registry."""
        return self.folder / "mosquitto-acl"

    @property
    def lock(self) -> Path:
        """Held by the one command that changes them."""
        return self.folder / "lock"
