"""Where the embedded stack keeps what, below one folder."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
"""Root of the project: the parts run from here."""
PARTS_HOME = PROJECT / "var" / "parts"
"""Jars and programs that `make setup` fetches; the same for every stack of a clone."""
SOCKET_PATH_LIMIT = 100
"""Linux takes 107 bytes for a Unix socket's path; supervisor appends a few while it binds."""


@dataclass(frozen=True)
class Layout:
    """Paths of one stack; `folder` is absolute."""

    folder: Path

    @property
    def run(self) -> Path:
        """Generated configuration, pid files, the supervisor's socket."""
        return self.folder / "run"

    @property
    def class_data(self) -> Path:
        """Class data that the stack's Java programs write as they end."""
        return self.run / "class-data"

    @property
    def log(self) -> Path:
        """Logs, one a part."""
        return self.folder / "log"

    @property
    def settings_file(self) -> Path:
        """The effective settings."""
        return self.folder / "settings.toml"

    @property
    def supervisor_config(self) -> Path:
        """Configuration of supervisord."""
        return self.run / "supervisord.conf"

    @property
    def lock(self) -> Path:
        """Held by the one command that changes the stack."""
        return self.run / "lock"

    @property
    def socket(self) -> Path:
        """The supervisor's socket; in the folder for temporary files where the path would be too long."""
        path = self.run / "supervisor.sock"
        if len(str(path)) <= SOCKET_PATH_LIMIT:
            return path
        digest = hashlib.sha256(str(path).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"tidemark-{os.getuid()}-{digest}.sock"

    def data(self, part: str) -> Path:
        """Return the data folder of a part."""
        return self.folder / "data" / part

    def config(self, name: str) -> Path:
        """Return the path of a generated configuration file."""
        return self.run / name

    def pid_file(self, part: str) -> Path:
        """Return the file that holds the pid of a part's own process while it runs."""
        return self.run / f"{part}.pid"

    def spec_file(self, part: str) -> Path:
        """Return the file that tells the guard what to run."""
        return self.run / f"{part}.json"

    def log_file(self, part: str) -> Path:
        """Return the log of a part."""
        return self.log / f"{part}.log"

    def make(self) -> None:
        """Create the folders; the run folder is the user's alone, because it may hold secrets."""
        for folder in (self.run, self.log, self.folder / "data"):
            folder.mkdir(parents=True, exist_ok=True)
        self.run.chmod(0o700)
