"""Try the broker: connection, TLS, login, and whether the gateway may hear its acknowledgements."""

import socket
import ssl
import time
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from connectors.wire.topics import gateway_topic
from deploy.raspberrypi.finding import Finding
from simulators.device import Broker
from simulators.device.link import tls_context

_ANSWER_S = 10.0
"""A broker that takes the connection and says nothing is given up after this."""


class _Trial:
    """A connection that only asks. Its client id is its own, so that it doesn't push the running agent out."""

    def __init__(self, broker: Broker, client_id: str, topic: str) -> None:
        self.outcome: Finding | None = None
        self._topic = topic
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False
        )
        self._client.connect_timeout = _ANSWER_S
        if broker.username:
            self._client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            self._client.tls_set_context(tls_context(broker))
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.connect(broker.host, broker.port, keepalive=30, clean_start=True)

    def _connected(self, client: Client, _: Any, __: Any, code: ReasonCode, ___: Any) -> None:
        if code.is_failure:
            mend = "compare username and password with those that the broker knows for this gateway"
            self.outcome = Finding("broker login", "wrong", f"refused: {code}", mend)
            return
        client.subscribe(self._topic, options=SubscribeOptions(qos=1))

    def _subscribed(self, _: Client, __: Any, ___: int, codes: list[ReasonCode], ____: Any) -> None:
        if any(code.is_failure for code in codes):
            mend = "site and gateway in the config must be those that the broker's access list has for this user"
            self.outcome = Finding("broker login", "wrong", f"may not subscribe to {self._topic}: {codes[0]}", mend)
        else:
            self.outcome = Finding("broker login", "ok", f"logged in, and may subscribe to {self._topic}")

    def wait(self) -> Finding:
        """Drive the connection until there is an outcome."""
        until = time.monotonic() + _ANSWER_S
        while self.outcome is None and time.monotonic() < until:
            if self._client.loop(0.2) != MQTTErrorCode.MQTT_ERR_SUCCESS and self.outcome is None:
                return Finding("broker login", "unreachable", "the broker closed the connection", "look at its log")
        self._client.disconnect()
        if self.outcome is None:
            mend = "is that an MQTT 5 broker, and the port the one with (or without) TLS?"
            return Finding("broker login", "unreachable", f"no answer in {_ANSWER_S:g} s", mend)
        return self.outcome


def try_broker(broker: Broker, site: str, gateway: str) -> Finding:
    """Connect, log in, subscribe, and leave again."""
    topic = gateway_topic(site, gateway, "ack")
    try:
        return _Trial(broker, f"tidemark-{site}-{gateway}-check", topic).wait()
    except (OSError, ValueError) as error:
        return _explained(error, broker)


def _explained(error: Exception, broker: Broker) -> Finding:
    """Say what an error of the connection means."""
    where = f"{broker.host}:{broker.port}"
    match error:
        case ssl.SSLCertVerificationError():
            detail = f"{where}: its certificate is not accepted: {error.verify_message}"
            return Finding("broker", "wrong", detail, "put the CA's certificate in mqtt.ca_file; look at the clock too")
        case ssl.SSLError():
            reason = error.reason or str(error)
            return Finding("broker", "wrong", f"{where}: no TLS: {reason}", "is that the port with TLS (8883)?")
        case socket.gaierror():
            detail = f"{broker.host}: no such name ({error.strerror})"
            return Finding("broker", "unreachable", detail, "correct mqtt.host, or look at the network's name service")
        case FileNotFoundError():
            detail = f"{broker.ca_file}: no such file"
            return Finding("broker", "wrong", detail, "copy the CA's certificate there, or correct mqtt.ca_file")
        case ConnectionRefusedError():
            return Finding(
                "broker", "unreachable", f"{where}: nobody listens", "correct mqtt.port, or start the broker"
            )
        case _:
            return Finding(
                "broker", "unreachable", f"{where}: {error}", "look at the network and the broker's firewall"
            )
