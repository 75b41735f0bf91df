"""The page about subscribing says what the notifier does: its file loads, its programs run, its numbers are right."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import apprise
import msgspec
import pytest

from connectors.kit.settings import Settings
from connectors.monitor.conditions import RuleId
from connectors.mqtt import dropping, skew
from connectors.notifier.channels import Reason
from connectors.notifier.channels.webhook import WebhookSender, outcome_of
from connectors.notifier.message import Message, message
from connectors.notifier.schedule import JITTER, LONGEST_RETRY_AFTER_S
from connectors.notifier.stages.route import route
from connectors.notifier.subscriptions import (
    AppriseChannel,
    LogChannel,
    Match,
    MqttChannel,
    Subscription,
    WebhookChannel,
    load_subscriptions,
)
from connectors.wire.alert import AlertEvent, Severity, Transition
from tests.support.mosquitto import free_port
from tests.support.samples import SAMPLES

PAGE = (Path(__file__).parents[3] / "docs" / "subscribe.md").read_text()
EVENT = SAMPLES[AlertEvent]


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return [block for its_language, block in found if its_language == language]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with all that the page says to put there, made as it says."""
    (make_secret,) = [block for block in blocks("sh") if "whsec_" in block]
    subprocess.run(["sh", "-c", make_secret], cwd=tmp_path, check=True, timeout=20)
    (yaml,) = blocks("yaml")
    (tmp_path / "subscriptions.yaml").write_text(yaml)
    (url,) = blocks("")
    (tmp_path / "mail.url").write_text(url)
    return tmp_path


@pytest.fixture
def subscriptions(folder: Path) -> dict[str, Subscription]:
    return {one.name: one for one in load_subscriptions(folder / "subscriptions.yaml")}


def test_the_example_has_each_channel(folder: Path, subscriptions: dict[str, Subscription]) -> None:
    channels = {name: type(one.channel) for name, one in subscriptions.items()}
    assert channels == {"operations": WebhookChannel, "mail": AppriseChannel, "bus": MqttChannel, "file": LogChannel}
    assert (folder / "operations.secret").stat().st_mode & 0o777 == 0o600
    assert subscriptions["file"].channel.path == folder / "log" / "press-3.jsonl"  # type: ignore[union-attr]


def test_the_mail_goes_where_the_page_says(subscriptions: dict[str, Subscription]) -> None:
    (mail,) = apprise.Apprise(subscriptions["mail"].channel.url)  # type: ignore[union-attr]
    assert (mail.secure, mail.smtp_host, mail.user, mail.password) == (True, "mail.example.org", "tidemark", "PASSWORD")
    assert [address for _, address in mail.targets] == ["operations@example.org"]


class Nothing:
    def was_told(self, subscription: str, alert_id: str) -> bool:
        return False


class Everything:
    def was_told(self, subscription: str, alert_id: str) -> bool:
        return True


def told(subscriptions: dict[str, Subscription], history: Any = None, **changes: Any) -> set[str]:
    blank = {"site": "", "gateway": "", "device": "", "quantity": "", "severity": "high", "transition": "raised"}
    event = msgspec.structs.replace(EVENT, **{**blank, **changes})
    return {one.subscription for one in route(event, list(subscriptions.values()), history or Nothing())}


def test_events_go_to_whom_the_page_says(subscriptions: dict[str, Subscription]) -> None:
    hall = {"site": "plant-1", "gateway": "hall-2", "device": "press-3", "quantity": "temperature"}
    assert told(subscriptions, **hall) == {"operations", "bus", "file"}
    assert told(subscriptions, **(hall | {"severity": "medium"})) == {"bus", "file"}
    assert told(subscriptions, **(hall | {"gateway": "Hall-2", "device": "press-33"})) == {"bus"}
    silent = {"site": "plant-1", "gateway": "hall-2", "rule_id": "gateway-silent"}
    assert told(subscriptions, **silent) == {"operations", "mail", "bus"}
    assert told(subscriptions, **silent, transition="escalated") == {"operations", "bus"}
    cleared = hall | {"severity": "low", "transition": "cleared"}
    assert told(subscriptions, **cleared) == {"bus", "file"}
    assert told(subscriptions, Everything(), **cleared) == {"operations", "bus", "file"}


def test_no_name_is_matched_by_a_star_and_not_by_a_question_mark(subscriptions: dict[str, Subscription]) -> None:
    bus = subscriptions["bus"]
    named = {glob: bus.model_copy(update={"name": glob, "match": Match(gateway=glob)}) for glob in ("*", "?*")}
    assert told(named, rule_id="job-down") == {"*"}
    assert told(named, gateway="hall-2") == {"*", "?*"}


def test_the_names_are_those_of_the_code() -> None:
    table = PAGE.partition("| key | matches |")[2].partition("\n\n")[0]
    rows = {tuple(re.findall(r"`([a-z_]+)`", row.split("|")[1])): row.split("|")[2] for row in table.splitlines()[2:]}
    assert {key for keys in rows for key in keys} == set(Match.model_fields)
    assert re.findall(r"`([a-z]+)`", rows["min_severity",]) == [*get_args(Severity), Match().min_severity]
    assert tuple(re.findall(r"`([a-z]+)`", rows["transitions",])) == get_args(Transition) == Match().transitions
    about_itself = PAGE.partition("one about Tidemark itself\n")[2].partition(")")[0]
    assert set(re.findall(r"`([a-z-]+)`", about_itself)) == {*get_args(RuleId), dropping.RULE}
    assert f"(`gateway-silent`, `{skew.RULE}`)" in PAGE


def test_the_body_is_of_the_shape_that_is_sent() -> None:
    (shown,) = [json.loads(block) for block in blocks("json")]
    sent = json.loads(message(EVENT, "operations", "tidemark").body)
    assert set(shown) == set(sent)
    assert set(shown["data"]) - {"…"} <= set(sent["data"])
    for name in ("specversion", "type", "source", "datacontenttype"):
        assert shown[name] == sent[name]
    for name in ("id", "time"):
        assert re.sub(r"[0-9a-f]", "0", shown[name]) == re.sub(r"[0-9a-f]", "0", sent[name]), name


@contextmanager
def running(folder: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run the page's receiver."""
    (program,) = blocks("python")
    (folder / "receiver.py").write_text(program)
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "receiver.py", str(port)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield port, process
    finally:
        process.terminate()
        process.wait(10)


def send(port: int, secrets: tuple[str, ...], notification: Message, now: float | None = None) -> Reason | None:
    spec = WebhookChannel.model_construct(
        type="webhook", url=f"http://127.0.0.1:{port}/", timeout_s=5.0, secrets=secrets
    )
    sender = WebhookSender(spec, time.time if now is None else lambda: now)
    deadline = time.monotonic() + 10
    while (reason := sender.send(notification).reason) is Reason.UNREACHABLE and time.monotonic() < deadline:
        time.sleep(0.02)
    return reason


def test_the_receiver_takes_what_is_signed_once_and_nothing_else(
    folder: Path, subscriptions: dict[str, Subscription]
) -> None:
    channel = subscriptions["operations"].channel
    assert isinstance(channel, WebhookChannel)
    one, two = (message(EVENT, name, "tidemark") for name in ("operations", "others"))
    new_secret = "whsec_" + "QUJD" * 10
    with running(folder) as (port, process):
        assert send(port, channel.secrets, one) is None
        assert send(port, channel.secrets, one) is None
        assert send(port, (new_secret,), two) is Reason.CLIENT
        assert send(port, channel.secrets, two, now=time.time() - 301) is Reason.CLIENT
        assert send(port, (new_secret, *channel.secrets), two) is None
        process.terminate()
        said, _ = process.communicate(timeout=10)
    assert [line.split()[0] for line in said.splitlines()] == [f"dev.tidemark.alert.{EVENT.transition}.v1"] * 2


@pytest.mark.parametrize(
    ("status", "row", "outcome"),
    [
        (204, "any 2xx", "delivered"),
        (410, "410", "nothing more is sent"),
        (413, "413", "dead at once"),
        (429, "429 or any other, with `Retry-After`", "tried again"),
        (302, "3xx", "tried again; a redirect is never followed"),
        (404, "other 4xx, 5xx", "tried again"),
        (503, "other 4xx, 5xx", "tried again"),
    ],
)
def test_answers_lead_to_what_the_page_says(status: int, row: str, outcome: str) -> None:
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {row}")]
    assert outcome in line
    reason = outcome_of(status, None, 0.0).reason
    assert (reason is None) == (outcome == "delivered")
    assert (reason in (Reason.GONE, Reason.REFUSED)) == (outcome in ("nothing more is sent", "dead at once"))
    assert outcome_of(503, "60", 0.0).retry_after_s == 60


def test_the_numbers_are_those_of_the_code() -> None:
    delays = Settings.model_fields["notifier"].default.retry_s
    named = {"s": 1, "min": 60, "h": 3600}
    text = re.search(r"then after (.*?) \(`notifier\.retry_s`\)", PAGE, re.DOTALL)
    assert text
    found = re.findall(r"(\d+)\s+(s|min|h)\b", text.group(1))
    assert [int(number) * named[unit] for number, unit in found] == delays
    assert (len(delays) + 1, round(sum(delays) / 86_400), JITTER) == (10, 3, 0.2)
    assert LONGEST_RETRY_AFTER_S == 86_400
    defaults = {kind: kind.model_fields["timeout_s"].default for kind in (WebhookChannel, AppriseChannel, MqttChannel)}
    assert defaults == {WebhookChannel: 15, AppriseChannel: 30, MqttChannel: 10}
    assert "`timeout_s` (15)" in PAGE
    assert "`timeout_s` is 30" in PAGE
    assert "`timeout_s` is 10" in PAGE
