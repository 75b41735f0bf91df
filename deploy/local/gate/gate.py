"""The gate's files, in `secrets/` of the stack's folder: made once, kept by `up --fresh`, their owner's alone."""

import contextlib
import fcntl
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from deploy.local.effective import write_private
from deploy.local.gate.certificates import Identity, Unusable, issue_server, make_authority, read_identity, why_reissue
from deploy.local.gate.error import GateError
from deploy.local.gate.passwords import hashed, new_password
from deploy.local.gate.paths import GatePaths
from deploy.local.gate.registry import Registry
from deploy.local.gate.security import document


class Gate:
    """The secrets of one stack.

    Parameters
    ----------
    paths
        Where they are.
    """

    def __init__(self, paths: GatePaths) -> None:
        self.paths = paths

    def prepare(self, names: Sequence[str], now: datetime, authority_name: str) -> str:
        """Make what is missing or out of date, so that the broker can start.

        Parameters
        ----------
        names
            DNS names and addresses of the broker's certificate.
        now
            Aware.
        authority_name
            Name of a new CA.

        Returns
        -------
        str
            Why the broker's certificate was made anew; empty if it was not.

        Raises
        ------
        GateError
            If a file is there and can't be used.
        """
        with self._alone():
            why = self._certify(names, now, authority_name)
            self._write_security(self.registry())
            return why

    def authority(self, now: datetime, name: str) -> Identity:
        """Return the CA; the first time, make it."""
        with self._alone():
            return self._authority(now, name)

    def registry(self) -> Registry:
        """Return the gateways; none before the first was added."""
        try:
            return msgspec.json.decode(self.paths.registry.read_bytes(), type=Registry)
        except FileNotFoundError:
            return Registry()
        except msgspec.DecodeError as error:
            raise GateError(f"{self.paths.registry} can't be read ({error}); restore it from your back-up") from error

    @contextlib.contextmanager
    def changing(self) -> Iterator["Change"]:
        """Hold the registry, so that two commands don't change it at the same time."""
        with self._alone():
            yield Change(self)

    def store(self, registry: Registry) -> None:
        """Write the registry and what the broker reads of it at its next start. Call it while `changing`."""
        write_private(self.paths.registry, _pretty(registry))
        self._write_security(registry)

    def password(self, path: Path) -> str:
        """Return Tidemark's own password in a file; the first time, make it."""
        try:
            found = path.read_text().strip()
        except FileNotFoundError:
            found = ""
        if not found:
            found = new_password()
            write_private(path, found + "\n")
        return found

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self.paths.folder.mkdir(parents=True, exist_ok=True)
        self.paths.folder.chmod(0o700)
        with open(self.paths.lock, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # held for milliseconds
            yield

    def _certify(self, names: Sequence[str], now: datetime, authority_name: str) -> str:
        authority = self._authority(now, authority_name)
        why = self._why_new(authority, names, now)
        if why:
            server = issue_server(authority, names, now)
            # Key and certificate in one file: no moment at which they don't belong together.
            write_private(self.paths.server, server.key_pem() + server.certificate_pem())
        return why

    def _why_new(self, authority: Identity, names: Sequence[str], now: datetime) -> str:
        try:
            text = self.paths.server.read_bytes()
            server = read_identity(text, text)
        except FileNotFoundError:
            return "there was none"
        except Unusable as error:
            return str(error)
        return why_reissue(server.certificate, authority.certificate, names, now)

    def _authority(self, now: datetime, name: str) -> Identity:
        try:
            certificate = self.paths.ca.read_bytes()
        except FileNotFoundError:
            made = make_authority(name, now)
            # The certificate last: where it is, the key is.
            write_private(self.paths.ca_key, made.key_pem())
            write_private(self.paths.ca, made.certificate_pem())
            return made
        try:
            return read_identity(certificate, self.paths.ca_key.read_bytes())
        except (OSError, Unusable) as error:
            raise GateError(
                f"{self.paths.ca} and {self.paths.ca_key}: {error}. Restore both from your back-up; or delete ca.crt "
                "for a new CA, whose ca.crt every gateway then needs"
            ) from error

    def _write_security(self, registry: Registry) -> None:
        service, admin = map(self.password, (self.paths.service_password, self.paths.admin_password))
        write_private(self.paths.security, _pretty(document(registry, hashed(service), hashed(admin))))


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode() + "\n"


class Change:
    """The registry while no other command can change it."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.registry = gate.registry()

    def store(self, registry: Registry) -> None:
        """Write it."""
        self._gate.store(registry)
        self.registry = registry
