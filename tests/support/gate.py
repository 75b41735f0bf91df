"""A broker beyond loopback as the stack starts it, without a supervisor, and clients that try what they may not."""

import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from connectors.kit.settings import MqttSettings, Settings, StackSettings
from connectors.monitor.brokerlog import BrokerLog
from deploy.local.effective import effective, to_toml, write_private
from deploy.local.gate.changes import Keeper
from deploy.local.gate.opening import prepare
from deploy.local.gate.paths import GatePaths
from deploy.local.layout import Layout
from deploy.local.ports import free_ports
from deploy.local.programs import all_parts

WAIT_S = 20.0
SITE = "plant-1"


def until(condition: Callable[[], bool], what: str, seconds: float = WAIT_S) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


class GatedBroker:
    """mosquitto with the configuration and the launch command of a stack in `folder`."""

    def __init__(self, folder: Path, listen: str = "127.0.0.1") -> None:
        inner, outer = free_ports(2)
        self.port = outer
        stack = StackSettings(data=folder, listen=f"{listen}:{outer}")
        self.settings = effective(Settings(mqtt=MqttSettings(port=inner), stack=stack), folder)
        self.layout = Layout(folder)
        self.layout.make()
        self.log = self.layout.log_file("mosquitto")
        self.paths = GatePaths(folder)
        self.keeper = Keeper(self.settings)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        self.counted = BrokerLog(self.log)

    def start(self, *, prepared: bool = False) -> None:
        """Start it and wait until it is healthy; `prepared` leaves the files as they are."""
        if not prepared:
            prepare(self.settings, self.layout, lambda _: None)
        write_private(self.layout.settings_file, to_toml(self.settings))
        part = all_parts(self.settings, self.layout)["mosquitto"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(part.launch().argv, stdout=log, stderr=log)
        self.layout.pid_file("mosquitto").write_text(f"{self._process.pid}\n")
        until(lambda: part.check() is None, f"the broker: {part.check()}; {self.log.read_text()}")

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(WAIT_S)

    @property
    def pid(self) -> int:
        """The broker's own."""
        assert self._process is not None
        return self._process.pid

    def add(self, name: str, *publish: str, site: str = SITE) -> "Login":
        """Let a gateway in."""
        return Login(name, self.keeper.add(site, name, publish, 1_000))

    def service(self) -> "Login":
        """Return the login of Tidemark's own."""
        return Login(self.settings.mqtt.username, self.settings.mqtt.secret())

    def refused(self, **expected: int) -> None:
        """Wait until the log has told of these refusals since the last call, and of no others."""
        found: dict[str, int] = {}

        def take() -> bool:
            for reason, count in self.counted.refusals().items():
                found[reason] = found.get(reason, 0) + count
            return found == expected

        end = time.monotonic() + 5.0
        while not take():
            assert time.monotonic() < end, f"refused {found}, not {expected}: {self.log.read_text()[-2000:]}"
            time.sleep(0.05)

    def tls_client(self, login: "Login | None", **more: Any) -> "Tester":
        """Connect from outside."""
        context = ssl.create_default_context(cafile=str(self.paths.ca))
        return Tester(self.port, login, context=context, **more)

    def plain_client(self, login: "Login | None", **more: Any) -> "Tester":
        """Connect on loopback, as Tidemark's services do."""
        return Tester(self.settings.mqtt.port, login, **more)


class Login:
    """A user name and a password."""

    def __init__(self, name: str, password: str) -> None:
        self.name = name
        self.password = password


class Tester:
    """An MQTT client that notes everything that happens to it.

    Attributes
    ----------
    outcome
        The broker's answer to CONNECT, or what kept it from answering.
    got
        Topics and payloads that came.
    """

    __test__ = False

    def __init__(
        self,
        port: int,
        login: Login | None,
        *,
        context: ssl.SSLContext | None = None,
        client_id: str = "",
        protocol: int = 5,
        clean: bool = True,
        will: str = "",
    ) -> None:
        self.outcome = ""
        self.got: list[tuple[str, bytes]] = []
        self.granted: list[bool] = []
        self.taken: list[str] = []
        self.closed = threading.Event()
        self._answered = threading.Event()
        v5 = protocol == 5
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion(protocol),
            reconnect_on_failure=False,
            **({} if v5 else {"clean_session": clean}),
        )
        if login is not None:
            self.client.username_pw_set(login.name, login.password)
        if context is not None:
            self.client.tls_set_context(context)
        if will:
            self.client.will_set(will, b"will", 1)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda *_: self.closed.set()
        self.client.on_message = lambda _, __, message: self.got.append((message.topic, message.payload))
        self.client.on_subscribe = lambda *given: self.granted.extend(not code.is_failure for code in given[3])
        self.client.on_publish = lambda *given: self.taken.append(str(given[3]))
        try:
            self.client.connect("127.0.0.1", port, 30, **({"clean_start": clean} if v5 else {}))
        except OSError as error:
            self.outcome = f"{type(error).__name__}: {error}"
            return
        self.client.loop_start()
        assert self._answered.wait(WAIT_S), "no answer"

    def _on_connect(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.outcome = str(reason)
        self._answered.set()

    @property
    def is_in(self) -> bool:
        """Whether the broker let it in."""
        return self.outcome == "Success"

    def subscribe(self, *topics: str) -> Self:
        """Subscribe, and wait for the answers."""
        before = len(self.granted)
        for topic in topics:
            self.client.subscribe(topic, 1)
        until(lambda: len(self.granted) == before + len(topics), "the answers to subscriptions")
        return self

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> str:
        """Publish with QoS 1, and return what the broker says to it: on MQTT 3.1.1 always success."""
        before = len(self.taken)
        self.client.publish(topic, payload, 1, retain)
        until(lambda: len(self.taken) > before, "a PUBACK")
        return self.taken[-1]

    def abandon(self) -> None:
        """Go without a word: the broker sends the will."""
        sock = self.client.socket()
        assert sock is not None
        # Past TLS: the socket itself is shut, as by a lost network.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def children(pid: int) -> list[int]:
    """Return the pids of a process's children."""
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_environment(folder: Path) -> dict[str, str]:
    """Return an environment in which no setting stands."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
    return kept | {"HOME": str(folder), "COLUMNS": "200"}
