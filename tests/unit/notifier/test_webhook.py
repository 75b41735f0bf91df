"""Signed webhooks against a receiver that behaves, and one that doesn't."""

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from connectors.notifier.channels import Outcome, Reason
from connectors.notifier.channels.webhook import WebhookSender, outcome_of
from connectors.notifier.message import Message, message
from connectors.notifier.subscriptions import WebhookChannel
from connectors.wire.alert import AlertEvent
from deploy.demo.receiver import Book, Script, serve
from tests.support.samples import SAMPLES

SECRET = "whsec_dGVzdHMgb2YgdGhlIHdob2xlIHBpcGVsaW5lIQ=="
OTHER = "whsec_" + "QUJD" * 10
MESSAGE = message(SAMPLES[AlertEvent], "one", "tests")


def sender(port: int, *secrets: str, timeout_s: float = 5.0) -> WebhookSender:
    spec = WebhookChannel.model_construct(
        type="webhook", url=f"http://127.0.0.1:{port}/alerts", timeout_s=timeout_s, secrets=secrets or (SECRET,)
    )
    return WebhookSender(spec)


@contextmanager
def receiver(script: str = "", secret: str = SECRET) -> Iterator[tuple[int, Book, io.StringIO]]:
    out = io.StringIO()
    book = Book(secret, out)
    server = serve(0, book, Script(script.split(",")))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_port, book, out
    finally:
        server.shutdown()
        server.server_close()


def attempt(script: str, timeout_s: float = 5.0) -> Outcome:
    with receiver(script) as (port, _, _):
        return sender(port, timeout_s=timeout_s).send(MESSAGE)


def test_a_signed_event_is_verified_and_written_down() -> None:
    with receiver() as (port, book, out):
        assert sender(port).send(MESSAGE).reason is None
        line = json.loads(out.getvalue())
    assert (line["event_id"], line["webhook_id"]) == (MESSAGE.event_id, MESSAGE.id)
    assert (book.verified, book.refused) == (1, 0)


def test_a_wrong_secret_is_refused() -> None:
    with receiver(secret=OTHER) as (port, book, out):
        assert sender(port).send(MESSAGE).reason is Reason.CLIENT
    assert (book.verified, book.refused, out.getvalue()) == (0, 1, "")


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_both_secrets_pass_while_one_is_changed(secret: str) -> None:
    headers = sender(1, SECRET, OTHER).headers(MESSAGE)
    assert Webhook(secret).verify(MESSAGE.body, headers)["id"] == MESSAGE.event_id


@pytest.mark.parametrize("tamper", ["body", "webhook-id", "webhook-timestamp", "webhook-signature", "old"])
def test_whatever_is_changed_is_found_out(tamper: str) -> None:
    spec = WebhookChannel.model_construct(type="webhook", url="http://x/", timeout_s=1.0, secrets=(SECRET,))
    now = time.time() - (301 if tamper == "old" else 0)
    headers, body = WebhookSender(spec, lambda: now).headers(MESSAGE), MESSAGE.body
    if tamper == "body":
        body = body[:-2] + b" }"
    elif tamper != "old":
        headers[tamper] = headers[tamper][:-2] + ("00" if tamper == "webhook-timestamp" else "xx")
    with pytest.raises((WebhookVerificationError, ValueError)):
        Webhook(SECRET).verify(body, headers)


def test_the_timestamp_is_new_and_the_id_the_same_at_each_attempt() -> None:
    spec = WebhookChannel.model_construct(type="webhook", url="http://x/", timeout_s=1.0, secrets=(SECRET,))
    times = iter([1000.9, 2000.1])
    one = WebhookSender(spec, lambda: next(times))
    first, second = one.headers(MESSAGE), one.headers(MESSAGE)
    assert (first["webhook-timestamp"], second["webhook-timestamp"]) == ("1000", "2000")
    assert first["webhook-id"] == second["webhook-id"] == MESSAGE.id


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("500", Reason.SERVER),
        ("301", Reason.REDIRECT),
        ("307", Reason.REDIRECT),
        ("404", Reason.CLIENT),
        ("410", Reason.GONE),
        ("413", Reason.REFUSED),
        ("429:9", Reason.THROTTLED),
        ("reset", Reason.UNREACHABLE),
        ("lost", Reason.UNREACHABLE),
    ],
)
def test_every_answer_but_2xx_is_a_failure(script: str, reason: Reason) -> None:
    assert attempt(script).reason is reason


def test_retry_after_is_heard() -> None:
    assert attempt("429:9").retry_after_s == 9.0
    assert attempt("503:9").retry_after_s == 9.0


def test_a_redirect_is_not_followed() -> None:
    with receiver("302") as (port, book, _):
        assert sender(port).send(MESSAGE).reason is Reason.REDIRECT
    assert book.verified == 0


def test_an_answer_that_was_lost_has_the_event_behind_it() -> None:
    with receiver("lost") as (port, book, out):
        one = sender(port)
        assert one.send(MESSAGE).reason is Reason.UNREACHABLE
        assert one.send(MESSAGE).reason is None
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert book.verified == 2
    assert {line["webhook_id"] for line in lines} == {MESSAGE.id}


@pytest.mark.parametrize("script", ["hang:2", "drip:3"])
def test_who_is_slow_is_cut_off_in_time(script: str) -> None:
    started = time.monotonic()
    assert attempt(script, timeout_s=0.3).reason is Reason.TIMEOUT
    assert time.monotonic() - started < 1.5


def test_an_endless_body_is_not_read() -> None:
    assert attempt("huge").reason is None


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert sender(taken.getsockname()[1]).send(MESSAGE).reason is Reason.UNREACHABLE


def test_no_http_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(b"\x16\x03\x01 not http\r\n\r\n")
            connection.close()

        threading.Thread(target=babble, daemon=True).start()
        assert sender(server.getsockname()[1]).send(MESSAGE).reason is Reason.UNREACHABLE


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert attempt("").reason is None


def test_no_secret_is_in_an_outcome() -> None:
    message_ = Message(id="m", event_id="e", body=b"{}", title="", text="")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert SECRET not in repr(sender(taken.getsockname()[1]).send(message_))


@pytest.mark.parametrize("status", range(200, 300))
def test_all_of_2xx_is_success(status: int) -> None:
    assert outcome_of(status, None, 0.0) == Outcome()
