"""Towards the broker: the session survives, ids are used on their own connection, a dead thread is noticed."""

import logging
import socket
import threading
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from connectors.kit.settings import MqttSettings
from connectors.mqtt.mqtt_port import MqttPort


class FakeClient:
    def __init__(self):
        self.acked, self.subscribed = [], []

    def ack(self, mid, _qos):
        self.acked.append(mid)

    def subscribe(self, wanted, _qos=None):
        if isinstance(wanted, list):
            self.subscribed.append({topic: options.retainHandling for topic, options in wanted})
        return 0, 1 if isinstance(wanted, list) else 2


class Flags:
    session_present = True


class Log:
    def __getattr__(self, _name):
        return lambda *_args, **_kwargs: None


OK, DENIED = ReasonCode(PacketTypes.CONNACK, "Success"), ReasonCode(PacketTypes.CONNACK, "Not authorized")


def port(on_message=lambda *_: None, links=None, settings=None):
    one = MqttPort(
        settings or MqttSettings(port=1),
        "bridge",
        20,
        on_message=on_message,
        on_link=lambda *link: links.append(link) if links is not None else None,
        log=Log(),
    )
    one._client = FakeClient()
    return one


def test_an_acknowledgement_of_an_earlier_connection_is_dropped():
    one = port()
    client = one._client
    one._connected(client, None, Flags(), OK, None)
    one.acknowledge(1, 7)
    one._disconnected(client, None, None, OK, None)
    one.acknowledge(1, 8)
    one._connected(client, None, Flags(), OK, None)
    one.acknowledge(1, 9)
    one.acknowledge(2, 9)
    assert client.acked == [7, 9]


def test_retained_tables_come_at_the_start_and_packs_never():
    one = port()
    for _ in range(2):
        one._connected(one._client, None, Flags(), OK, None)
    first, second = one._client.subscribed
    assert first["tidemark/v1/+/+/series/+"] == 0 and second["tidemark/v1/+/+/series/+"] == 1
    assert first["tidemark/v1/+/+/packs"] == 2 == second["tidemark/v1/+/+/packs"]
    assert "tidemark/v1/bridge/echo" in first


def test_links_are_reported_and_a_refused_connection_is_none():
    links = []
    one = port(links=links)
    one._connected(one._client, None, Flags(), DENIED, None)
    assert not links and not one.ready
    one._connected(one._client, None, Flags(), OK, None)
    one._granted(None, None, 1, [ReasonCode(PacketTypes.SUBACK, "Granted QoS 1")], None)
    assert one.ready
    one._granted(None, None, 2, [ReasonCode(PacketTypes.SUBACK, "Not authorized")], None)
    assert one.ready, "the broker's statistics are no condition"
    one._granted(None, None, 1, [ReasonCode(PacketTypes.SUBACK, "Not authorized")], None)
    assert not one.ready
    one._disconnected(one._client, None, None, OK, None)
    one._disconnected(one._client, None, None, OK, None)
    assert links == [(1, True), (None, False)]


def test_an_exception_in_a_callback_stays_inside():
    def burst(*_args):
        raise RuntimeError("poison")

    one = port(on_message=burst)
    one._took(None, None, mqtt.MQTTMessage(1))


@pytest.fixture
def silent_broker():
    """A socket that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_dead_network_thread_is_noticed_and_replaced(silent_broker, monkeypatch):
    logging.getLogger("paho").disabled = True
    monkeypatch.setattr(threading, "excepthook", lambda *_: None)
    one = port(settings=MqttSettings(port=silent_broker))
    one.start()
    client = one._client
    assert not one.stuck()

    def die(*_args):
        raise RuntimeError("thread dies")

    client._loop = die
    until = time.monotonic() + 5
    while not one.stuck() and time.monotonic() < until:
        time.sleep(0.02)
    assert one.stuck()
    one.rebuild()
    assert one._client is not client and not one.stuck()
    one.stop(2.0)


def test_a_loop_that_does_not_turn_is_stuck(silent_broker, monkeypatch):
    one = port(settings=MqttSettings(port=silent_broker))
    one.start()
    assert not one.stuck()
    later = time.monotonic() + 3_600
    monkeypatch.setattr("connectors.mqtt.mqtt_port.time.monotonic", lambda: later)
    one._client.last_turn_s = 0.0
    stuck = one.stuck()
    monkeypatch.undo()
    one.stop(2.0)
    assert stuck
