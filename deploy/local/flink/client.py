"""`flink run`, put together: the client's own settings, the Kafka properties, and the command."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from connectors.kit.settings import KafkaSettings, Settings
from deploy.local.classdata import QUICKLY, ClassData
from deploy.local.flink.conf import CLIENT_LOG_SETTINGS
from deploy.local.flink.distribution import CONNECTOR, Distribution
from deploy.local.flink.package import PROJECT

CLIENT_CLASS = "org.apache.flink.client.cli.CliFrontend"
SHADED_LOGIN = "org.apache.flink.kafka.shaded.org.apache.kafka.common.security"
JVM_OPTIONS = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    # The client plans the job once: compiling that code thoroughly costs more than it saves (a third of its time).
    *QUICKLY,
    "-XX:+IgnoreUnrecognizedVMOptions",
)
RUN_LIMIT_S = 300.0
"""Planning takes some 10 s alone on two cores; a client that hangs must not hang the stack's start."""


POLL_S = 0.1

Gate = Callable[[], bool]


@dataclass(frozen=True)
class Called:
    """What became of a call."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Client:
    """A folder from which `flink run` is called.

    Attributes
    ----------
    folder
        Ours alone: it may hold Kafka's password.
    python
        The workers' Python, on the task managers.
    project
        Whose job it is.
    has_connector
        Whether the cluster loads Kafka's connector itself, so that the job need not bring it.
    classes
        Java's class data; None for none.
    """

    distribution: Distribution
    settings: Settings
    folder: Path
    python: str = sys.executable
    project: Path = PROJECT
    has_connector: bool = False
    classes: ClassData | None = None

    def write(self) -> None:
        """Write the client's files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        host, _, port = self.settings.flink.rest.rpartition(":")
        options = {
            "env.java.opts.all": " ".join(self.distribution.java_options()),
            "rest.address": host,
            "rest.port": int(port),
            "python.client.executable": sys.executable,
            "classloader.resolve-order": "parent-first",
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(options, width=10_000))
        (self.folder / "log4j-client.properties").write_text(CLIENT_LOG_SETTINGS)
        properties = self.folder / "kafka.properties"
        properties.touch(mode=0o600)
        properties.write_text("".join(f"{k}={v}\n" for k, v in kafka_properties(self.settings.kafka).items()))

    def run_argv(self, archive: Path, restore: str | None, job: list[str]) -> list[str]:
        """Return `flink run …` as one Java call, without the shell script and the JVM that it starts first."""
        path = self.distribution.client_class_path(CONNECTOR.parent)
        return [
            str(self.distribution.java),
            *JVM_OPTIONS,
            *self._class_data(path),
            *self.distribution.java_options(),
            f"-Dlog4j.configurationFile=file:{self.folder / 'log4j-client.properties'}",
            "-classpath",
            path,
            CLIENT_CLASS,
            *("run", "--detached"),
            *(() if self.has_connector else ("--jarfile", str(CONNECTOR))),
            *(("--fromSavepoint", restore) if restore else ()),
            *("--python", str(self.project / "jobs/detect.py"), "--pyFiles", str(archive)),
            *("--pyExecutable", self.python, "--pyClientExecutable", sys.executable),
            "--",
            *job,
        ]

    def _class_data(self, path: str) -> tuple[str, ...]:
        return () if self.classes is None else self.classes.options("client", self.distribution.java, path)

    def call(self, argv: list[str], gate: Gate | None = None) -> Called:
        """Run it and return what it printed.

        With a `gate` the job is planned at once and started when the gate answers true; it is asked again and again,
        and whatever it raises ends the client.

        Raises
        ------
        subprocess.TimeoutExpired
            If it takes longer than `RUN_LIMIT_S`, not counting the time before the gate.
        """
        environment = os.environ | self.distribution.environment(self.folder)
        # Else the client imports a Tidemark that lies in the current folder instead of the packed one.
        environment.pop("PYTHONPATH", None)
        self.go_file.unlink(missing_ok=True)
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            # A session of its own, so that its Python ends with it.
            process = subprocess.Popen(
                argv, env=environment, cwd=self.folder, stdout=out, stderr=err, text=True, start_new_session=True
            )
            try:
                self._wait(process, gate)
            finally:
                _end(process)
            out.seek(0)
            err.seek(0)
            return Called(process.returncode, out.read(), err.read())

    @property
    def go_file(self) -> Path:
        """The file that the planned job waits for."""
        return self.folder / "go"

    def _wait(self, process: subprocess.Popen[str], gate: Gate | None) -> None:
        began = time.monotonic()
        waiting = gate
        while process.poll() is None:
            if waiting is not None and waiting():
                self.go_file.touch()
                waiting = None
                began = time.monotonic()
            if waiting is None and time.monotonic() - began > RUN_LIMIT_S:
                raise subprocess.TimeoutExpired(process.args, RUN_LIMIT_S)
            time.sleep(POLL_S)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def job_arguments(settings: Settings, checkpoints: str, kafka: Path) -> list[str]:
    """Return the command line of `jobs/detect.py`."""
    arguments = {
        "bootstrap": settings.kafka.bootstrap,
        "window-ms": settings.time.window_ms,
        "disorder-ms": settings.time.disorder_ms,
        "shards": settings.topics.shards,
        "parallelism": settings.flink.parallelism,
        "checkpoint-ms": settings.flink.checkpoint_ms,
        "delivery": settings.flink.delivery,
        "kafka-properties": kafka,
        **({"checkpoint-dir": checkpoints} if checkpoints else {}),
    }
    return [text for name, value in arguments.items() for text in (f"--{name}", str(value))]


def kafka_properties(kafka: KafkaSettings) -> dict[str, str]:
    """Return the Java client's security options; none for plain text."""
    if kafka.security_protocol == "PLAINTEXT":
        return {}
    options: dict[str, str] = {"security.protocol": kafka.security_protocol}
    if kafka.ca_file is not None:
        options |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(kafka.ca_file.absolute())}
    if kafka.security_protocol.startswith("SASL"):
        module = "plain.PlainLoginModule" if kafka.sasl_mechanism == "PLAIN" else "scram.ScramLoginModule"
        credentials = f"username={json.dumps(kafka.username)} password={json.dumps(kafka.secret())}"
        options["sasl.mechanism"] = kafka.sasl_mechanism
        options["sasl.jaas.config"] = f"{SHADED_LOGIN}.{module} required {credentials};"
    return options
