"""The subscriptions file: what it takes, and every error at once with its line."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.kit.settings import SettingsError
from connectors.notifier.subscriptions import (
    AppriseChannel,
    LogChannel,
    MqttChannel,
    WebhookChannel,
    load_subscriptions,
    parse_subscriptions,
)

SECRET = "whsec_dGVzdHMgb2YgdGhlIHdob2xlIHBpcGVsaW5lIQ=="


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hook.secret").write_text(SECRET + "\n")
    (tmp_path / "both.secret").write_text(f"{SECRET}\nwhsec_{'QUJD' * 10}\n")
    (tmp_path / "short.secret").write_text("whsec_QUJD\n")
    (tmp_path / "plain.secret").write_text("swordfish\n")
    monkeypatch.setenv("OPS_MAIL", "mailtos://user:password@example.org")
    return tmp_path


def errors(folder: Path, text: str) -> list[str]:
    path = folder / "subscriptions.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_subscriptions(path)
    assert "swordfish" not in str(caught.value)
    return [line.strip().removeprefix(str(path)) for line in str(caught.value).splitlines()[1:]]


def test_every_channel(folder: Path) -> None:
    (folder / "subscriptions.yaml").write_text(
        """
subscriptions:
  - name: operations
    match: {site: plant-*, rule: "drift*", min_severity: high, transitions: [raised, cleared]}
    channel: {type: webhook, url: "https://example.org/alerts", secret_file: both.secret}
  - name: mail
    channel: {type: apprise, url_env: OPS_MAIL}
  - name: bus
    channel: {type: mqtt, topic: plant/alerts}
  - name: file
    channel: {type: log, path: alerts.jsonl}
"""
    )
    hook, mail, bus, file = load_subscriptions(folder / "subscriptions.yaml")
    assert isinstance(hook.channel, WebhookChannel)
    assert len(hook.channel.secrets) == 2
    assert hook.match.transitions == ("raised", "cleared")
    assert isinstance(mail.channel, AppriseChannel)
    assert mail.channel.url.startswith("mailtos://")
    assert isinstance(bus.channel, MqttChannel)
    assert isinstance(file.channel, LogChannel)
    assert file.channel.path == folder / "alerts.jsonl"
    assert "password" not in repr((hook, mail, bus, file))
    assert SECRET not in repr(hook)


def test_no_subscriptions_is_fine(folder: Path) -> None:
    assert parse_subscriptions("subscriptions: []", folder / "s.yaml") == ()


def test_all_errors_at_once_with_line_and_name(folder: Path) -> None:
    found = errors(
        folder,
        """subscriptions:
  - name: operations
    match: {min_severity: enormous, sit: x}
    channel: {type: webhook, url: "ftp://example.org", secret_file: hook.secret}
  - name: Upper Case
    channel: {type: pigeon}
  - channel:
      type: mqtt
      topic: alerts/#
  - name: operations
    channel: {type: log}
""",
    )
    text = "\n".join(found)
    assert ":3: subscription 'operations': match.min_severity:" in text
    assert ":3: subscription 'operations': match.sit:" in text
    assert ":4: subscription 'operations': channel.url:" in text
    assert ":5: subscription 'Upper Case': name:" in text
    assert ":6: subscription 'Upper Case': channel:" in text
    assert ":7: subscription 3: name: Field required" in text
    assert ":9: subscription 3: channel.topic:" in text
    assert ":11: subscription 'operations': channel.path: Field required" in text


@pytest.mark.parametrize(
    ("channel", "word"),
    [
        ('{type: webhook, url: "https://e.org"}', "give either secret_file or secret_env"),
        ('{type: webhook, url: "https://e.org", secret: swordfish}', "must not stand in the file"),
        ('{type: webhook, url: "https://e.org", secret_file: hook.secret, secret_env: OPS_MAIL}', "give either"),
        ('{type: webhook, url: "https://e.org", secret_file: nowhere}', "can't be read"),
        ('{type: webhook, url: "https://e.org", secret_file: short.secret}', "24 to 64"),
        ('{type: webhook, url: "https://e.org", secret_file: plain.secret}', "whsec_"),
        ('{type: webhook, url: "https://user:swordfish@e.org", secret_file: hook.secret}', "channel.url"),
        ("{type: apprise, url: mailto://swordfish}", "must not stand in the file"),
        ("{type: apprise, url_env: NOT_THERE}", "the environment has no NOT_THERE"),
        ("{type: apprise, url_file: plain.secret}", "one Apprise URL"),
        ("{type: mqtt, topic: a/+/b}", "channel.topic"),
        ("{type: log}", "channel.path: Field required"),
        ("{}", "channel"),
        ("nonsense", "channel"),
    ],
)
def test_one_error_a_rule(folder: Path, channel: str, word: str) -> None:
    found = errors(folder, f"subscriptions:\n  - name: one\n    channel: {channel}\n")
    assert len(found) == 1
    assert found[0].startswith(":3: subscription 'one': ")
    assert word in found[0]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "subscriptions", "subscriptions: 3", "subscriptions: [3, null]", "a: [", "x: &a [*a]", "\x00", "- - -"],
)
def test_what_is_no_subscriptions_file_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(SettingsError):
        parse_subscriptions(text, folder / "s.yaml")


def test_a_key_that_stands_twice_is_an_error(folder: Path) -> None:
    found = errors(
        folder,
        "subscriptions:\n  - name: one\n    name: two\n    channel: {type: log, path: x}\n",
    )
    assert found == [":3: subscriptions.0.name stands twice"]


def test_names_must_differ(folder: Path) -> None:
    found = errors(folder, "subscriptions:\n" + "  - {name: one, channel: {type: log, path: x}}\n" * 2)
    assert found == [":1: subscriptions: the name of more than one subscription: one"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        load_subscriptions(tmp_path / "none.yaml")


@settings(max_examples=25)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["subscriptions", "name", "match", "channel", "type", "site", "path"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_yaml_is_taken_or_refused_in_words(data: object) -> None:
    import yaml

    try:
        parse_subscriptions(yaml.safe_dump(data, allow_unicode=True), Path("/nowhere/s.yaml"))
    except SettingsError as error:
        assert "/nowhere/s.yaml" in str(error)
