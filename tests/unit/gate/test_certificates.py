"""Certificates: what a strict client accepts, and when they are made anew."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local.gate.certificates import (
    AUTHORITY_LASTS,
    RENEWED_BEFORE,
    SERVER_LASTS,
    Identity,
    Unusable,
    issue_server,
    make_authority,
    names_of,
    read_identity,
    why_reissue,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = ("10.0.0.5", "fd00::5", "hall", "hall.local", "localhost")


@pytest.fixture(scope="module")
def authority() -> Identity:
    return make_authority("Tidemark on hall", NOW)


def shake_hands(server: Identity, trusted: Identity, name: str, folder: Path) -> None:
    """Do a TLS handshake in memory, with all the checks that Python's newest versions make. Raises `ssl.SSLError`."""
    file = folder / "server.pem"
    file.write_text(server.key_pem() + server.certificate_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    asking = ssl.create_default_context(cadata=trusted.certificate_pem())
    asking.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(to_client, to_server, server_hostname=name)
    answering = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    client.do_handshake()


@pytest.mark.parametrize("name", NAMES)
def test_a_strict_client_takes_each_name(name: str, tmp_path: Path) -> None:
    today = make_authority("today", datetime.now(UTC))
    shake_hands(issue_server(today, NAMES, datetime.now(UTC)), today, name, tmp_path)


def test_another_name_is_refused(tmp_path: Path) -> None:
    today = make_authority("today", datetime.now(UTC))
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(issue_server(today, NAMES, datetime.now(UTC)), today, "10.0.0.6", tmp_path)


def test_another_ca_of_the_same_name_is_refused(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    one, other = make_authority("Tidemark on hall", now), make_authority("Tidemark on hall", now)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(issue_server(one, NAMES, now), other, "hall", tmp_path)


def test_an_expired_one_is_refused(tmp_path: Path) -> None:
    long_ago = datetime.now(UTC) - SERVER_LASTS - timedelta(days=3)
    old = make_authority("old", long_ago)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shake_hands(issue_server(old, NAMES, long_ago), old, "hall", tmp_path)


def test_how_long_they_last(authority: Identity) -> None:
    server = issue_server(authority, NAMES, NOW).certificate
    assert authority.certificate.not_valid_after_utc == NOW + AUTHORITY_LASTS
    assert server.not_valid_after_utc == NOW + SERVER_LASTS
    assert server.not_valid_before_utc < NOW, "a gateway's clock may be behind"


def test_names(authority: Identity) -> None:
    assert names_of(issue_server(authority, NAMES, NOW).certificate) == tuple(sorted(NAMES))
    assert names_of(authority.certificate) == ()


def test_when_it_is_made_anew(authority: Identity) -> None:
    server, ca = issue_server(authority, NAMES, NOW).certificate, authority.certificate
    late = NOW + SERVER_LASTS - RENEWED_BEFORE
    assert why_reissue(server, ca, NAMES, NOW) == ""
    assert why_reissue(server, ca, NAMES[::-1], late) == ""
    assert "ends on" in why_reissue(server, ca, NAMES, late + timedelta(seconds=1))
    assert "names" in why_reissue(server, ca, NAMES[1:], NOW)
    assert "names" in why_reissue(server, ca, [*NAMES, "more"], NOW)
    assert "CA" in why_reissue(server, make_authority("Tidemark on hall", NOW).certificate, NAMES, NOW)


def test_near_the_cas_end_it_is_not_made_anew_at_each_start(authority: Identity) -> None:
    late = NOW + AUTHORITY_LASTS - timedelta(days=10)
    server = issue_server(authority, NAMES, late).certificate
    assert server.not_valid_after_utc == authority.certificate.not_valid_after_utc
    assert why_reissue(server, authority.certificate, NAMES, late) == ""


def test_files_that_do_not_belong_together(authority: Identity) -> None:
    other = make_authority("other", NOW)
    pem = authority.certificate_pem().encode()
    assert read_identity(pem, authority.key_pem().encode()).certificate == authority.certificate
    with pytest.raises(Unusable, match="belong together"):
        read_identity(pem, other.key_pem().encode())
    with pytest.raises(Unusable, match="can't be read"):
        read_identity(pem[:100], authority.key_pem().encode())
    with pytest.raises(Unusable, match="can't be read"):
        read_identity(pem, b"")
