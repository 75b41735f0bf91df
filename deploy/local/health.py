"""Health checks of the parts: each returns None when all is well, else what is wrong, in a few words."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from connectors.kit.settings import KafkaSettings, SettingsError

Check = Callable[[], str | None]

PROBE_TIMEOUT_S = 2.0
"""A part that takes longer to answer on loopback counts as not healthy yet; a hung one must not hang `status`."""

MQTT_CLIENT_ID = "tidemark-health"
MQTT_KEEPALIVE_S = 10
MQTT_DISCONNECT = bytes.fromhex("e000")


def get_json(url: str, timeout_s: float = PROBE_TIMEOUT_S) -> Any:
    """GET a JSON document. Raises `OSError` or `ValueError`."""
    with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 (our own addresses)
        return json.load(answer)


def check_http(url: str) -> str | None:
    """A page that answers with 2xx."""
    try:
        with urllib.request.urlopen(url, timeout=PROBE_TIMEOUT_S):  # noqa: S310 (our own addresses)
            return None
    except urllib.error.HTTPError as error:
        return error.read(200).decode(errors="replace").strip() or f"answers {error.code}"
    except OSError as error:
        return f"no answer at {url} ({error})"


def mqtt_connect(username: str = "", password: str = "") -> bytes:
    """Return an MQTT 3.1.1 CONNECT packet: clean session, keep-alive 10 s.

    >>> mqtt_connect()[:12].hex()
    '101b00044d5154540402000a'
    """
    texts = [MQTT_CLIENT_ID, *([username, password] if username else [])]
    body = b"".join(len(text.encode()).to_bytes(2, "big") + text.encode() for text in texts)
    flags = 0xC2 if username else 0x02
    body = b"\x00\x04MQTT\x04" + bytes([flags]) + MQTT_KEEPALIVE_S.to_bytes(2, "big") + body
    if len(body) > 127:
        return b"\x10" + bytes([len(body) % 128 + 128, len(body) // 128]) + body
    return b"\x10" + bytes([len(body)]) + body


def check_mqtt(host: str, port: int, login: Callable[[], tuple[str, str]] | None = None) -> str | None:
    """A broker that accepts a connection, or wants a password that we don't have: it works either way.

    `login` gives name and password, so that the broker isn't asked in vain and counts no refusal of its own stack.
    """
    try:
        name, password = ("", "") if login is None else login()
        with socket.create_connection((host, port), PROBE_TIMEOUT_S) as connection:
            connection.settimeout(PROBE_TIMEOUT_S)
            connection.sendall(mqtt_connect(name, password))
            answer = connection.recv(4)
            connection.sendall(MQTT_DISCONNECT)
    except (OSError, SettingsError) as error:
        return f"no answer at {host}:{port} ({error})"
    if answer[:1] != b"\x20":
        return "does not speak MQTT"
    return f"refuses the login of {name}" if name and answer[3:4] != b"\x00" else None


def check_tcp(host: str, port: int) -> str | None:
    """A port that accepts connections."""
    try:
        with socket.create_connection((host, port), PROBE_TIMEOUT_S):
            return None
    except OSError as error:
        return f"no answer at {host}:{port} ({error})"


def check_kafka(kafka: KafkaSettings) -> str | None:
    """A broker that has registered with its controller."""
    host, _, port = kafka.bootstrap.split(",")[0].rpartition(":")
    closed = check_tcp(host, int(port))
    if closed is not None:
        return closed
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    from connectors.kit.kafka import client_options

    client = AdminClient(client_options(kafka) | {"log_level": 0})
    try:
        brokers = client.list_topics(timeout=PROBE_TIMEOUT_S).brokers
    except KafkaException as error:
        return str(error.args[0].str())
    return None if brokers else "no broker has registered yet"


def check_task_managers(rest: str, pid_file: Path) -> str | None:
    """A task manager from which the job manager has heard since it was started.

    The job manager lists one that died for some seconds more; its last heartbeat tells it from its successor.
    """
    try:
        started_ms = pid_file.stat().st_mtime * 1000
        listed = get_json(f"http://{rest}/taskmanagers")["taskmanagers"]
    except (OSError, ValueError) as error:
        return f"not registered: job manager does not answer ({error})"
    # Flink's name for it misleads: it is a point in time.
    heard = any(manager["timeSinceLastHeartbeat"] >= started_ms for manager in listed)
    return None if heard else "not registered with the job manager"


def check_job(rest: str) -> str | None:
    """A job of which every subtask runs."""
    try:
        jobs = get_json(f"http://{rest}/jobs/overview")["jobs"]
    except (OSError, ValueError) as error:
        return f"job manager does not answer ({error})"
    states = [f"{job['name']} is {job['state'].lower()}" for job in jobs if not job_runs(job)]
    if any(job_runs(job) for job in jobs):
        return None
    return "; ".join(states) or "not submitted"


def job_runs(job: dict[str, Any]) -> bool:
    """Whether an entry of `/jobs/overview` has every subtask running."""
    tasks = job["tasks"]
    return bool(job["state"] == "RUNNING" and tasks["running"] == tasks["total"])
