"""The notifier on real parts: every event arrives at least once under one id, and one channel's trouble is its own."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from aiosmtpd.controller import Controller
from paho.mqtt.enums import CallbackAPIVersion

from connectors.kit.kafka import consumer
from connectors.notifier.message import message_id
from connectors.notifier.outbox import Outbox
from connectors.wire.alert import AlertEvent
from connectors.wire.ledger import DeadLetter
from connectors.wire.topics import ALERT_EVENTS, DEAD_LETTERS
from connectors.wire.versions import from_msgpack
from deploy.demo.receiver import Book, Script, serve
from deploy.local.stack import Stack
from tests.support.observe import TopicLog
from tests.support.sinks import ServiceProcess, alert, alert_records, eventually, publish

pytestmark = pytest.mark.integration

SECRET = "whsec_dGVzdHMgb2YgdGhlIHdob2xlIHBpcGVsaW5lIQ=="
CANARY = "swordfish-canary"


class Hook:
    """A receiver in this process, with its lines in a file."""

    def __init__(self, folder: Path, script: str = "") -> None:
        self.path = folder / f"received-{id(self)}.jsonl"
        self._out = self.path.open("a")
        self.book = Book(SECRET, self._out)
        self._server = serve(0, self.book, Script(script.split(",")))
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def event_ids(self) -> set[str]:
        return {line["event_id"] for line in self.lines()}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._out.close()


@contextmanager
def hook(folder: Path, script: str = "") -> Iterator[Hook]:
    one = Hook(folder, script)
    try:
        yield one
    finally:
        one.close()


def subscribe(folder: Path, *entries: str) -> Path:
    (folder / "hook.secret").write_text(SECRET)
    path = folder / "subscriptions.yaml"
    path.write_text("subscriptions:\n" + "".join(f"  - {entry}\n" for entry in entries))
    return path


def webhook(name: str, port: int, gateway: str) -> str:
    return (
        f'{{name: {name}, match: {{gateway: {gateway}}}, channel: {{type: webhook, url: "http://127.0.0.1:{port}/", '
        "secret_file: hook.secret, timeout_s: 1}}"
    )


def notifier(stack: Stack, folder: Path, **overrides: object) -> ServiceProcess:
    settings: dict[str, object] = {
        "subscriptions_file": folder / "subscriptions.yaml",
        "database": folder / "outbox.sqlite",
        "retry_s": "[0.3, 0.3, 0.3, 1, 1, 1]",
    }
    return ServiceProcess(stack, "connectors.notifier", "NOTIFIER", folder / "service.log", **(settings | overrides))


def ids(events: list[AlertEvent]) -> set[str]:
    return {event.event_id for event in events}


def test_every_channel_gets_every_event_once(stack: Stack, tmp_path: Path) -> None:
    events = [alert(number, "gw-all") for number in range(12)]
    heard = subscriber(stack, "alerts/gw-all")
    mails = MailServer()
    (tmp_path / "mail.url").write_text(mails.url("ops@example.org"))
    with hook(tmp_path) as receiver, mails:
        subscribe(
            tmp_path,
            webhook("hook", receiver.port, "gw-all"),
            "{name: bus, match: {gateway: gw-all}, channel: {type: mqtt, topic: alerts/gw-all}}",
            "{name: mail, match: {gateway: gw-all}, channel: {type: apprise, url_file: mail.url}}",
            "{name: file, match: {gateway: gw-all}, channel: {type: log, path: notes.jsonl}}",
        )
        with notifier(stack, tmp_path) as service:
            publish(stack.settings.kafka, alert_records(events) + alert_records(events))
            eventually(lambda: receiver.event_ids() == ids(events), "webhooks", service.log)
            eventually(lambda: len(mails.received) == 12, "mails", service.log)
            eventually(lambda: len(heard.messages) == 12, "publishes", service.log)
            eventually(lambda: service.metric("tidemark_notifier_ended_total") == 48, "all ended", service.log)
            assert service.metric("tidemark_notifier_repeats_total") == 48
        assert service.stop() == 0
        assert [line["webhook_id"] for line in receiver.lines()] == [
            message_id("hook", line["event_id"]) for line in receiver.lines()
        ]
        assert len(receiver.lines()) == 12
    heard.close()
    assert {json.loads(body)["id"] for body in heard.messages} == ids(events)
    notes = [json.loads(line) for line in (tmp_path / "notes.jsonl").read_text().splitlines()]
    assert {note["event"]["id"] for note in notes} == ids(events)
    assert any("Subject: [high] drift raised: temperature of press-3 (gw-all)" in mail for mail in mails.received)


def test_a_bad_receiver_is_retried_and_delays_no_other(stack: Stack, tmp_path: Path) -> None:
    """T45, T46: 500, 429, redirect, reset, a lost answer, silence, a drip; meanwhile another subscription is served."""
    events = [alert(number, "gw-bad-hook") for number in range(4)]
    script = "500,429:1,302,reset,lost,hang:3,drip:3"
    with hook(tmp_path, script) as bad, hook(tmp_path) as good:
        subscribe(tmp_path, webhook("bad", bad.port, "gw-bad-hook"), webhook("good", good.port, "gw-bad-hook"))
        with notifier(stack, tmp_path) as service:
            publish(stack.settings.kafka, alert_records(events))
            eventually(lambda: good.event_ids() == ids(events), "the good one", service.log)
            eventually(lambda: bad.event_ids() == ids(events), "the bad one", service.log)
            eventually(lambda: service.metric("tidemark_notifier_pending") == 0, "an empty outbox", service.log)
            reasons = {
                reason: service.metric(
                    f'tidemark_notifier_attempts_total{{channel="webhook",outcome="{reason}",subscription="bad"}}'
                )
                for reason in ("server", "throttled", "redirect", "unreachable", "timeout")
            }
        assert reasons == {"server": 1, "throttled": 1, "redirect": 1, "unreachable": 2, "timeout": 2}
        by_event = {line["event_id"]: line["webhook_id"] for line in bad.lines()}
        assert len({(line["event_id"], line["webhook_id"]) for line in bad.lines()}) == len(by_event) == 4
        assert bad.book.refused == good.book.refused == 0


def test_killed_after_sending_it_sends_again_under_the_same_id(stack: Stack, tmp_path: Path) -> None:
    """T47: the receiver has the event, the outbox doesn't know; nothing is lost and the id is the same."""
    events = [alert(number, "gw-killed-notifier") for number in range(5)]
    with hook(tmp_path) as receiver:
        subscribe(tmp_path, webhook("hook", receiver.port, "gw-killed-notifier"))
        service = notifier(stack, tmp_path)
        service.start()
        service.wait_ready()
        take, victim = receiver.book.take, service.process
        assert victim is not None

        def take_and_kill(body: bytes, headers: dict[str, str]) -> bool:
            is_good = take(body, headers)
            if len(receiver.lines()) == 3:
                victim.send_signal(signal.SIGKILL)
                victim.wait(10)
            return is_good

        receiver.book.take = take_and_kill  # type: ignore[method-assign]
        publish(stack.settings.kafka, alert_records(events))
        eventually(service.has_died, "the kill", service.log)
        receiver.book.take = take  # type: ignore[method-assign]
        with notifier(stack, tmp_path) as again:
            eventually(lambda: receiver.event_ids() == ids(events), "all events", again.log)
            eventually(lambda: again.metric("tidemark_notifier_pending") == 0, "an empty outbox", again.log)
        sent = [(line["event_id"], line["webhook_id"]) for line in receiver.lines()]
    assert len(sent) == 6
    assert len(set(sent)) == 5
    assert sent[2] == sent[3]


def test_reading_the_log_again_sends_nothing_again(stack: Stack, tmp_path: Path) -> None:
    """T53, the notifier's part: offsets in Kafka and in the outbox are set back to the beginning."""
    import sqlite3

    events = [alert(number, "gw-replay") for number in range(6)]
    with hook(tmp_path) as receiver:
        subscribe(tmp_path, webhook("hook", receiver.port, "gw-replay"))
        with notifier(stack, tmp_path) as service:
            publish(stack.settings.kafka, alert_records(events))
            eventually(lambda: receiver.event_ids() == ids(events), "all events", service.log)
        with sqlite3.connect(tmp_path / "outbox.sqlite") as database:
            database.execute("UPDATE offsets SET next_offset = 0")
        database.close()
        with notifier(stack, tmp_path) as service:
            last = alert(99, "gw-replay")
            publish(stack.settings.kafka, alert_records([last]))
            eventually(lambda: last.event_id in receiver.event_ids(), "the new event", service.log)
            assert service.metric("tidemark_notifier_repeats_total") >= 6
        assert len(receiver.lines()) == 7


def test_mail_4xx_is_retried_5xx_is_dead_and_seen(stack: Stack, tmp_path: Path) -> None:
    """T49: a mail server that is busy is asked again; an address that it refuses is a dead letter, in Kafka too."""
    mails = MailServer(busy=2)
    (tmp_path / "good.url").write_text(mails.url("ops@example.org") + f"&pass={CANARY}")
    (tmp_path / "bad.url").write_text(mails.url("bad@example.org"))
    dead = TopicLog(stack.settings.kafka, DEAD_LETTERS, lambda data: from_msgpack(DeadLetter, data))
    event = alert(1, "gw-mail")
    with mails:
        subscribe(
            tmp_path,
            "{name: good, match: {gateway: gw-mail}, channel: {type: apprise, url_file: good.url}}",
            "{name: bad, match: {gateway: gw-mail}, channel: {type: apprise, url_file: bad.url}}",
        )
        with notifier(stack, tmp_path) as service:
            publish(stack.settings.kafka, alert_records([event]))
            eventually(lambda: len(mails.received) == 1, "the mail", service.log)
            eventually(
                lambda: [each.detail for each in dead.poll().decoded if each.reason == "undeliverable"],
                "the dead letter",
                service.log,
            )
            assert service.metric("tidemark_notifier_dead") == 1
    (letter,) = [each for each in dead.decoded if each.reason == "undeliverable"]
    assert (letter.service, json.loads(letter.payload)["id"]) == ("notifier", event.event_id)
    assert "bad: refused after 1 attempts" in letter.detail
    outbox = Outbox(tmp_path / "outbox.sqlite", lambda: 0)
    assert [each.reason for each in outbox.dead_letters()] == ["refused"]
    outbox.close()
    dead.close()
    # S14: no secret is in a log or in the database.
    for file in (tmp_path / "service.log", *tmp_path.glob("outbox.sqlite*")):
        assert CANARY.encode() not in file.read_bytes()
        assert SECRET.encode() not in file.read_bytes()


def test_an_offline_broker_is_waited_for(stack: Stack, tmp_path: Path) -> None:
    """The broker keeps the last one for who subscribes later: nobody could, before it is back."""
    events = [alert(number, "gw-offline") for number in range(3)]
    channel = "{type: mqtt, topic: alerts/offline, retain: true}"
    subscribe(tmp_path, f"{{name: bus, match: {{gateway: gw-offline}}, channel: {channel}}}")
    stack.stop(["mosquitto"])
    try:
        with notifier(stack, tmp_path, retry_s="[1, 1, 1, 2, 2, 5, 5, 5, 5, 5]") as service:
            publish(stack.settings.kafka, alert_records(events))
            eventually(lambda: service.metric("tidemark_notifier_attempts_total") >= 1, "an attempt", service.log)
            assert service.metric("tidemark_notifier_ended_total") == 0
            stack.start(["mosquitto"])
            eventually(lambda: service.metric("tidemark_notifier_ended_total") == 3, "the publishes", service.log)
            assert service.metric("tidemark_notifier_dead") == 0
            heard = subscriber(stack, "alerts/offline")
            eventually(lambda: heard.messages, "the retained one", service.log)
            heard.close()
            assert json.loads(heard.messages[-1])["id"] in ids(events)
    finally:
        stack.start(["mosquitto"])


def test_what_is_no_event_is_dead_and_the_rest_goes_on(stack: Stack, tmp_path: Path) -> None:
    dead = TopicLog(stack.settings.kafka, DEAD_LETTERS, lambda data: from_msgpack(DeadLetter, data))
    event = alert(1, "gw-poison")
    with hook(tmp_path) as receiver:
        subscribe(tmp_path, webhook("hook", receiver.port, "gw-poison"))
        with notifier(stack, tmp_path) as service:
            publish(stack.settings.kafka, [(ALERT_EVENTS, b"\xffpoison", "x"), *alert_records([event])])
            eventually(lambda: receiver.event_ids() == {event.event_id}, "the event", service.log)
            eventually(
                lambda: [each for each in dead.poll().decoded if each.payload == b"\xffpoison"], "a letter", service.log
            )
    dead.close()


def test_bad_subscriptions_are_told_at_once(stack: Stack, tmp_path: Path) -> None:
    subscribe(tmp_path, "{name: X, channel: {type: log}}")
    service = notifier(stack, tmp_path)
    service.start()
    eventually(service.has_died, "the end", service.log)
    assert service.stop() == 2
    assert "subscriptions.yaml:2: subscription 'X': channel.path: Field required" in service.log()


@pytest.fixture(autouse=True)
def _from_here_on(stack: Stack) -> None:
    """Let each test's notifier begin at the topic's end: its outbox is new, so Kafka's offset is where it starts."""
    from confluent_kafka import TopicPartition

    one = consumer(stack.settings.kafka, "tidemark-notifier")
    found = one.list_topics(ALERT_EVENTS, timeout=10).topics[ALERT_EVENTS].partitions
    ends = [
        TopicPartition(ALERT_EVENTS, number, one.get_watermark_offsets(TopicPartition(ALERT_EVENTS, number))[1])
        for number in found
    ]
    one.commit(offsets=ends, asynchronous=False)
    one.close()


class MailServer:
    """An SMTP server that is busy for a while and knows no address that begins with `bad`."""

    def __init__(self, busy: int = 0) -> None:
        self.received: list[str] = []
        self._busy = busy
        self._controller = Controller(self, hostname="127.0.0.1", port=0)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address.startswith("bad"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self._busy:
            self._busy -= 1
            return "451 try later"
        self.received.append(envelope.content.decode())
        return "250 OK"

    def url(self, to: str) -> str:
        from deploy.local.ports import free_ports

        self._controller.port = self._controller.port or free_ports(1)[0]
        return f"mailto://127.0.0.1:{self._controller.port}/?from=tidemark@example.org&to={to}&format=text"

    def __enter__(self) -> "MailServer":
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()


class Subscriber:
    """Hears what is published on a topic."""

    def __init__(self, host: str, port: int, topic: str) -> None:
        self.messages: list[bytes] = []
        subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_message = lambda _c, _u, message: self.messages.append(message.payload)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect(host, port)
        self._client.loop_start()
        self._client.subscribe(topic, qos=1)
        assert subscribed.wait(20)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def subscriber(stack: Stack, topic: str) -> Subscriber:
    return Subscriber(stack.settings.mqtt.host, stack.settings.mqtt.port, topic)
