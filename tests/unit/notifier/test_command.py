"""`tidemark subscriptions check | test`."""

import json
import sys
from pathlib import Path

import pytest

from connectors.notifier.message import message_id
from deploy.command import main as command
from deploy.command.subscriptions import made_up_event

SECRET = "whsec_dGVzdHMgb2YgdGhlIHdob2xlIHBpcGVsaW5lIQ=="

FILE = """subscriptions:
  - name: notes
    match: {site: "plant-*", transitions: [raised]}
    channel: {type: log, path: notes.jsonl}
  - name: mail
    channel: {type: apprise, url_file: mail.url}
  - name: hook
    channel: {type: webhook, url: "http://127.0.0.1:9/alerts", secret_file: hook.secret, timeout_s: 2}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "subscriptions.yaml").write_text(FILE)
    (tmp_path / "hook.secret").write_text(SECRET)
    (tmp_path / "mail.url").write_text("mailtos://user:swordfish@example.org")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEMARK_SETTINGS", raising=False)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tidemark", "subscriptions", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    return int(ended.value.code or 0)


def test_check_says_what_the_notifier_would_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "check", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["name"], row["channel"], row["to"]) for row in rows] == [
        ("notes", "log", str(folder / "notes.jsonl")),
        ("mail", "apprise", "(secret)"),
        ("hook", "webhook", "http://127.0.0.1:9/alerts"),
    ]
    assert rows[0]["match"] == {"site": "plant-*", "transitions": ["raised"]}
    assert run(monkeypatch, "check") == 0
    shown = capsys.readouterr()
    assert "(site plant-*, transitions raised)" in shown.out
    assert "subscriptions.yaml: 3 subscriptions" in shown.err
    assert "swordfish" not in shown.out + shown.err
    assert SECRET not in shown.out + shown.err


def test_without_a_file_of_the_users_the_stacks_own_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "subscriptions.yaml").unlink()
    (folder / "var").mkdir()
    (folder / "var" / "subscriptions.yaml").write_text("subscriptions: []\n")
    assert run(monkeypatch, "check") == 0
    assert "var/subscriptions.yaml: 0 subscriptions" in capsys.readouterr().err


def test_every_mistake_is_told_with_its_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.yaml").write_text("subscriptions:\n  - name: a\n    match: {sit: x}\n    channel: {type: log}\n")
    assert run(monkeypatch, "check", "--file", "bad.yaml") == 2
    told = capsys.readouterr().err
    assert "bad.yaml:3: subscription 'a': match.sit" in told
    assert "bad.yaml:4: subscription 'a'" in told


def test_a_test_is_sent_once_whatever_it_matches_and_says_that_it_is_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "test", "notes", "notes") == 0
    assert capsys.readouterr().out == "notes: delivered\n"
    (line,) = [json.loads(line) for line in (folder / "notes.jsonl").read_text().splitlines()]
    assert line["event"]["data"]["detail"].startswith("This is a test by tidemark subscriptions test.")
    assert line["id"] == message_id("notes", line["event"]["id"])
    assert line["event"]["data"]["severity"] == "low"


def test_what_does_not_arrive_is_told_and_the_others_are_tried(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "test", "hook", "notes", "--json") == 1
    hook, notes = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (hook["delivered"], hook["reason"]) == (False, "unreachable")
    assert (notes["delivered"], notes["reason"]) == (True, None)


def test_an_unknown_name_sends_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "test", "notes", "nobody") == 1
    assert "has no subscription nobody; there are notes, mail, hook" in capsys.readouterr().err
    assert not (folder / "notes.jsonl").exists()


def test_each_test_is_an_alert_of_its_own() -> None:
    one, two = made_up_event(1_700_000_000_000), made_up_event(1_700_000_000_001)
    assert one == made_up_event(1_700_000_000_000)
    assert len({one.event_id, two.event_id, one.alert_id, two.alert_id}) == 4
