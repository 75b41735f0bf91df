"""Speaking to the running broker as Tidemark itself, over loopback."""

import queue
import secrets
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from connectors.kit.settings import MqttSettings
from connectors.wire.topics import ROOT
from deploy.local.gate.error import GateError
from deploy.local.gate.security import CONTROL, Json

ANSWER_S = 5.0
"""A broker on loopback answers in milliseconds; one that hangs must not hang the command."""

Retained = tuple[str, bytes]


class _Response(msgspec.Struct):
    error: str = ""


class _Responses(msgspec.Struct):
    responses: list[_Response] = []


class Session:
    """A connection of its own, which leaves nothing behind.

    Parameters
    ----------
    settings
        Address and login.
    client_id
        Default: one of its own. Another's throws that one out, with its session.

    Raises
    ------
    GateError
        On entering, if the broker doesn't let us in.
    """

    def __init__(self, settings: MqttSettings, client_id: str = "") -> None:
        self._settings = settings
        self._client_id = client_id or f"tidemark-gate-{secrets.token_hex(4)}"
        self._answers: queue.SimpleQueue[str | Retained] = queue.SimpleQueue()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        self._client.connect_timeout = ANSWER_S
        if settings.username:
            self._client.username_pw_set(settings.username, settings.secret())
        self._client.on_connect = self._connected
        self._client.on_message = self._arrived

    def __enter__(self) -> Self:
        """Connect."""
        where = f"the broker at {self._settings.host}:{self._settings.port}"
        try:
            self._client.connect(self._settings.host, self._settings.port, clean_start=True)
        except OSError as error:
            raise GateError(f"{where} does not answer ({error}); look at it: tidemark status") from error
        self._client.loop_start()
        answer = self._next()
        if answer:
            self.__exit__(None, None, None)
            raise GateError(f"{where} refused Tidemark's own login: {answer}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def retained(self, filters: Sequence[str]) -> list[Retained]:
        """Return topic and payload of every retained message that matches."""
        echo = f"{ROOT}/{self._client_id}/echo"
        for topic in (*filters, echo):
            self._client.subscribe(topic, 0)
        # The broker sends what is retained as it takes the subscription, so all of it comes before this.
        self._client.publish(echo, b"", 1)
        found: list[Retained] = []
        while (answer := self._next()) and not isinstance(answer, str) and answer[0] != echo:
            found.append(answer)
        return found

    def clear(self, topics: Sequence[str]) -> None:
        """Take retained messages away."""
        for topic in topics:
            self._client.publish(topic, b"", 1, retain=True).wait_for_publish(ANSWER_S)

    def control(self, commands: Sequence[Json]) -> list[str]:
        """Have the broker's security plugin do something; return what went wrong, in its words, for each command."""
        self._client.subscribe(f"{CONTROL}/response", 1)
        self._client.publish(CONTROL, msgspec.json.encode({"commands": list(commands)}), 1)
        answer = self._next()
        payload = answer[1] if isinstance(answer, tuple) else b"{}"
        return [one.error for one in msgspec.json.decode(payload, type=_Responses).responses]

    def _next(self) -> str | Retained:
        try:
            return self._answers.get(timeout=ANSWER_S)
        except queue.Empty:
            raise GateError(
                f"the broker at {self._settings.host}:{self._settings.port} did not answer within {ANSWER_S:g} s"
            ) from None

    # On paho's thread.

    def _connected(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._answers.put(str(reason) if reason.is_failure else "")

    def _arrived(self, _client: Any, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        self._answers.put((message.topic, bytes(message.payload)))


def throw_out(settings: MqttSettings, client_id: str) -> None:
    """End a client's connection and its session, with what is queued for it. Raises `GateError`."""
    with Session(settings, client_id):
        return
