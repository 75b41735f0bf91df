"""Listening to a broker for a while, without a trace: no session, nothing published."""

import queue
import secrets
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from connectors.kit.service import Unreachable
from connectors.kit.settings import MqttSettings
from connectors.mapping.discover.heard import Heard
from deploy.command.exits import CommandFailed

CONNECT_SECONDS = 10.0
"""A broker that has not granted the subscriptions by then is reported as out of reach, not waited for."""

PROGRESS_SECONDS = 0.2
"""Between two looks at the progress on a terminal."""

MAX_QUEUED = 50_000
"""Messages that wait to be taken; a broker that is faster is listened to less closely, and no memory is filled."""


def listen(settings: MqttSettings, filters: Sequence[str], seconds: float, now_ms: Callable[[], int]) -> Heard:
    """Return what is published on `filters` within so many seconds.

    Raises
    ------
    Unreachable
        The broker can't be reached, or refuses us.
    CommandFailed
        It grants none of the subscriptions.
    """
    inbox: queue.Queue[tuple[str, bytes, int, bool]] = queue.Queue(MAX_QUEUED)
    answers: queue.SimpleQueue[str | list[Any]] = queue.SimpleQueue()
    client = _client(settings, inbox, answers, filters, now_ms)
    heard = Heard()
    try:
        _connect(client, settings)
        _wait_for_grant(answers, settings, filters)
        _take(inbox, heard, seconds)
    finally:
        client.disconnect()
        client.loop_stop()
    return heard


def _client(
    settings: MqttSettings,
    inbox: "queue.Queue[tuple[str, bytes, int, bool]]",
    answers: "queue.SimpleQueue[str | list[Any]]",
    filters: Sequence[str],
    now_ms: Callable[[], int],
) -> mqtt.Client:
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, f"tidemark-discover-{secrets.token_hex(4)}", protocol=MQTTProtocolVersion.MQTTv5
    )
    if settings.username:
        client.username_pw_set(settings.username, settings.secret())
    if settings.tls:
        client.tls_set(str(settings.ca_file) if settings.ca_file else None, tls_version=ssl.PROTOCOL_TLS_CLIENT)

    def connected(_client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            answers.put(str(reason))
        else:
            client.subscribe([(one, SubscribeOptions(qos=0)) for one in filters])

    def granted(_client: Any, _userdata: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
        answers.put(reasons)

    def arrived(_client: Any, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        try:
            inbox.put_nowait((message.topic, bytes(message.payload), now_ms(), message.retain))
        except (queue.Full, UnicodeDecodeError):
            return  # More than can be looked at, or a topic that is no text.

    client.on_connect, client.on_subscribe, client.on_message = connected, granted, arrived
    return client


def _connect(client: mqtt.Client, settings: MqttSettings) -> None:
    client.connect_timeout = CONNECT_SECONDS
    try:
        client.connect(settings.host, settings.port, settings.keepalive_s, clean_start=True)
    except (OSError, ssl.SSLError) as error:
        raise Unreachable(f"no MQTT broker answers at {settings.host}:{settings.port} ({error})") from error
    client.loop_start()


def _wait_for_grant(
    answers: "queue.SimpleQueue[str | list[Any]]", settings: MqttSettings, filters: Sequence[str]
) -> None:
    where = f"{settings.host}:{settings.port}"
    try:
        answer = answers.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise Unreachable(f"the MQTT broker at {where} did not answer within {CONNECT_SECONDS:g} s") from None
    if isinstance(answer, str):
        raise Unreachable(f"the MQTT broker at {where} refused the connection: {answer}")
    if all(reason.is_failure for reason in answer):
        raise CommandFailed(f"the MQTT broker at {where} grants no subscription to {', '.join(filters)}: {answer[0]}")


def _take(inbox: "queue.Queue[tuple[str, bytes, int, bool]]", heard: Heard, seconds: float) -> None:
    until = time.monotonic() + seconds
    shown_s = seconds + PROGRESS_SECONDS
    while (left := until - time.monotonic()) > 0:
        if shown_s - left >= PROGRESS_SECONDS:
            _show_progress(heard, left)
            shown_s = left
        try:
            topic, payload, received_ms, retained = inbox.get(timeout=min(left, 0.5))
        except queue.Empty:
            continue
        heard.add(topic, payload, received_ms, retained)
    _show_progress(heard, None)


def _show_progress(heard: Heard, left: float | None) -> None:
    if sys.stderr.isatty():
        text = "" if left is None else f"{heard.messages:,} messages heard, {left:.0f} s left"
        sys.stderr.write(f"\r\x1b[2K{text}")
        sys.stderr.flush()
