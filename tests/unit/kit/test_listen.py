"""Addresses to listen on, as people write them."""

import pytest

from connectors.kit.listen import ListenAddress, checked_host, parse_listen
from connectors.kit.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.168.1.5", "192.168.1.5", 8883),
        (" 192.168.1.5:9000 ", "192.168.1.5", 9000),
        ("0.0.0.0", "0.0.0.0", 8883),
        ("::", "::", 8883),
        ("fd00::5", "fd00::5", 8883),
        ("[fd00:0::5]:1", "fd00::5", 1),
        ("[::1]", "::1", 8883),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_listen(text) == ListenAddress(host, port)
    assert parse_listen(str(parse_listen(text))) == ListenAddress(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tidemark.example",
        "192.168.1.500",
        "192.168.1.5:",
        "192.168.1.5:0",
        "192.168.1.5:65536",
        "192.168.1.5:x",
        "[::1",
        "[::1]x",
        "[::1]:",
        "fe80::1%eth0",
        ":8883",
        "8883",
        "*",
        "192.168.1.5:٣",
        "1.2.3.4:1:2",
    ],
)
def test_what_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no address|is none from 1") as raised:
        parse_listen(text)
    assert repr(text) in str(raised.value)


@pytest.mark.parametrize("text", ["", "a b", "-x", "x-", "*.example", "a..b", "x" * 64, ".".join(["abcd"] * 60), "ü"])
def test_what_can_stand_in_no_certificate(text: str) -> None:
    with pytest.raises(ValueError, match="neither a DNS name"):
        checked_host(text)


def test_settings_report_both(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("TIDEMARK_STACK__LISTEN", "everywhere")
    monkeypatch.setenv("TIDEMARK_STACK__LISTEN_NAMES", '["a b"]')
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert "stack.listen: " in str(raised.value)
    assert "stack.listen_names: " in str(raised.value)
