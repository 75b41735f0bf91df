"""Ports: which the settings name, whether they are free, and settings on free ones for tests and the demo."""

import contextlib
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from connectors.kit.settings import Settings


@dataclass(frozen=True)
class PortUse:
    """A port that a part listens on, and the setting that names it."""

    setting: str
    host: str
    port: int


def split_address(address: str) -> tuple[str, int]:
    """Take `host:port`, or the first of several, or a URL, apart.

    >>> split_address("127.0.0.1:9092,127.0.0.1:9093"), split_address("http://localhost:8086/")
    (('127.0.0.1', 9092), ('localhost', 8086))
    """
    first = address.partition(",")[0].rpartition("://")[2]
    host, _, port = first.rstrip("/").rpartition(":")
    return host, int(port)


def taken(uses: Iterable[PortUse]) -> list[str]:
    """Return one sentence for each port that something else listens on, with its mend; empty when all are free."""
    return [_sentence(use) for use in uses if not is_free(use.host, use.port)]


def twice(uses: Iterable[PortUse]) -> list[str]:
    """Return one sentence for each port that two settings name."""
    seen: dict[int, str] = {}
    found = []
    for use in uses:
        if use.port in seen:
            found.append(f"port {use.port} is named by both {seen[use.port]} and {use.setting}; change one of them")
        seen.setdefault(use.port, use.setting)
    return found


def is_free(host: str, port: int) -> bool:
    """Whether a program could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As the parts do: a port whose last connections linger in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def _sentence(use: PortUse) -> str:
    owner = owner_of(use.port)
    by = f" by {owner}" if owner else ""
    return f"port {use.port} ({use.setting}) is taken{by}; stop that, or name another port in {use.setting}"


def owner_of(port: int) -> str:
    """Return who listens on a port, as `name (pid n)`; empty if that can't be seen."""
    import psutil

    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return ""
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr[1] == port
        if listens and connection.pid:
            with contextlib.suppress(psutil.Error):
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Return distinct ports that are free now, below the range from which the system takes ports for connections.

    So that no client's outgoing connection takes one of them before its part has started.
    """
    found: list[int] = []
    for port in _candidates():
        if port not in found and is_free(host, port):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"fewer than {count} free ports")


def _candidates() -> Iterator[int]:
    import random

    yield from random.sample(range(20_000, 32_000), 12_000)


def on_free_ports(settings: Settings) -> Settings:
    """Return the settings with every port of the embedded stack replaced by a free one on loopback, and no other."""
    ports = iter(free_ports(11))
    numbers = {name: next(ports) for name in ("kafka_controller_port", "flink_rpc_port", "influx_rpc_port")}
    stack = {**numbers, "listen": ""}
    return settings.model_copy(
        update={
            "mqtt": settings.mqtt.model_copy(update={"host": "127.0.0.1", "port": next(ports)}),
            "kafka": settings.kafka.model_copy(update={"bootstrap": f"127.0.0.1:{next(ports)}"}),
            "flink": settings.flink.model_copy(update={"rest": f"127.0.0.1:{next(ports)}"}),
            "influxdb": settings.influxdb.model_copy(
                update={"url": f"http://127.0.0.1:{next(ports)}", "metrics_port": next(ports)}
            ),
            "bridge": settings.bridge.model_copy(update={"metrics_port": next(ports)}),
            "notifier": settings.notifier.model_copy(update={"metrics_port": next(ports)}),
            "monitor": settings.monitor.model_copy(update={"metrics_port": next(ports)}),
            "stack": settings.stack.model_copy(update=stack),
        }
    )
