"""Who comes in beyond loopback, who doesn't, and that it is counted: on a real broker."""

import os
import re
import signal
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.wire.topics import gateway_topic
from deploy.local.effective import write_private
from deploy.local.gate.certificates import SERVER_LASTS, issue_server, make_authority, read_identity
from deploy.local.gate.gate import Gate
from deploy.local.gate.paths import GatePaths
from deploy.local.processes import is_alive
from tests.support.gate import SITE, GatedBroker, Login, children, until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedBroker]:
    """One broker for all tests that leave it as it was."""
    made = GatedBroker(tmp_path_factory.mktemp("gate"))
    yield made
    made.stop()


@pytest.fixture
def broker(shared: GatedBroker) -> Iterator[GatedBroker]:
    """The broker, with no gateway and with nothing refused so far."""
    shared.counted.refusals()
    yield shared
    for one in shared.keeper.gate.registry().gateways:
        shared.keeper.revoke(one.name)


def own(name: str, kind: str, rest: str = "") -> str:
    return gateway_topic(SITE, name, kind, rest)


# Who it is


@pytest.mark.parametrize("protocol", [4, 5])
def test_nobody_without_a_login(broker: GatedBroker, protocol: int) -> None:
    assert "Not authorized" in broker.tls_client(None, protocol=protocol).outcome
    assert "Not authorized" in broker.plain_client(None, protocol=protocol).outcome
    broker.refused(credentials=2)


@pytest.mark.parametrize("protocol", [4, 5])
def test_wrong_credentials(broker: GatedBroker, protocol: int) -> None:
    pi = broker.add("pi-7")
    other = broker.add("pi-8")
    tries = [Login("pi-7", "wrong"), Login("pi-9", pi.password), Login("pi-8", pi.password), Login("PI-7", pi.password)]
    for one in [*tries, Login("+", "x"), Login("#", "x"), Login("tidemark", "tidemark"), Login("pi-7", "")]:
        assert "Not authorized" in broker.tls_client(one, protocol=protocol).outcome, one.name
    broker.refused(credentials=8)
    for one in (pi, other):
        with broker.tls_client(one, protocol=protocol) as client:
            assert client.is_in
    broker.refused()


def test_a_new_password_ends_the_old_one(broker: GatedBroker) -> None:
    pi = broker.add("pi-7")
    renewed = Login("pi-7", broker.keeper.renew(SITE, "pi-7"))
    assert "Not authorized" in broker.tls_client(pi).outcome
    with broker.tls_client(renewed) as client:
        assert client.is_in
    broker.refused(credentials=1)


@pytest.mark.parametrize("protocol", [4, 5])
def test_nobody_has_anothers_client_id(broker: GatedBroker, protocol: int) -> None:
    """Whatever id is given: not another gateway's session, nor the bridge's."""
    one, other = broker.add("pi-7"), broker.add("pi-8")
    with broker.tls_client(one, client_id="pi-7") as first, broker.plain_client(broker.service()) as ours:
        for name in ("pi-7", "tidemark-bridge"):
            with broker.tls_client(other, client_id=name, protocol=protocol, clean=False) as thief:
                assert thief.is_in
                thief.subscribe(own("pi-7", "ack"), own("pi-8", "ack"))
                ours.publish(own("pi-7", "ack"), b"for pi-7 alone")
                ours.publish(own("pi-8", "ack"), b"fence")
                until(lambda thief=thief: bool(thief.got), "the fence")
                assert thief.got == [(own("pi-8", "ack"), b"fence")]
                assert not first.closed.is_set()
    broker.refused(subscription=2)


# What it may do


@pytest.mark.parametrize("protocol", [4, 5])
def test_its_own_topics(broker: GatedBroker, protocol: int) -> None:
    pi = broker.add("pi-7")
    mine = [own("pi-7", "packs"), own("pi-7", "status"), own("pi-7", "series", "ab12")]
    with broker.plain_client(broker.service()) as ours, broker.tls_client(pi, protocol=protocol) as client:
        ours.subscribe("#")
        for topic in mine:
            client.publish(topic, b"mine")
        until(lambda: len(ours.got) == 3, "what the gateway said")
        assert {topic for topic, _ in ours.got} == set(mine)
        client.subscribe(own("pi-7", "ack"))
        ours.publish(own("pi-7", "ack"), b"ack")
        until(lambda: client.got == [(own("pi-7", "ack"), b"ack")], "the acknowledgement")
    broker.refused()


@pytest.mark.parametrize("protocol", [4, 5])
def test_no_other_topic_to_publish_on(broker: GatedBroker, protocol: int) -> None:
    """Asserted at the receiver: MQTT 3.1.1 acknowledges a publish that goes nowhere."""
    pi = broker.add("pi-7")
    broker.add("pi-8", "tele/plug/#")
    foreign = [
        own("pi-8", "packs"),
        own("pi-8", "status"),
        own("pi-7", "ack"),
        own("pi-7", "packs") + "/more",
        own("pi-7", "series"),
        own("pi-7", "series", "a/b"),
        gateway_topic("plant-2", "pi-7", "packs"),
        "tidemark/v1/tidemark-bridge/mapped",
        "tele/plug/STATE",
        "anything",
        "$SYS/broker/version",
        "$CONTROL/dynamic-security/v1",
    ]
    with broker.plain_client(broker.service()) as ours, broker.tls_client(pi, protocol=protocol) as client:
        ours.subscribe("#", "$SYS/broker/version")
        ours.got.clear()
        for topic in foreign:
            said = client.publish(topic, b"foreign")
            assert said == ("Success" if protocol == 4 else "Not authorized"), topic
        client.publish(own("pi-7", "packs"), b"fence")
        until(lambda: (own("pi-7", "packs"), b"fence") in ours.got, "the fence")
        assert not [topic for topic, payload in ours.got if payload == b"foreign"]
    broker.refused(topic=len(foreign))


@pytest.mark.parametrize("protocol", [4, 5])
def test_no_other_topic_to_read(broker: GatedBroker, protocol: int) -> None:
    pi = broker.add("pi-7")
    wanted = ["#", "+/#", "+/+/+/+/+", "$SYS/#", "$CONTROL/#", "$share/x/#", f"$share/x/{own('pi-8', 'ack')}"]
    wanted += [own("pi-8", "ack"), "tidemark/v1/+/+/ack", own("pi-7", "#"), own("pi-7", "packs"), "/#"]
    with broker.plain_client(broker.service()) as ours, broker.tls_client(pi, protocol=protocol) as client:
        ours.publish(own("pi-8", "ack"), b"retained", retain=True)
        client.subscribe(*wanted)
        for topic in (own("pi-8", "ack"), own("pi-7", "packs"), own("pi-8", "packs"), "anything", "$CONTROL/x"):
            ours.publish(topic, b"not for pi-7")
        client.subscribe(own("pi-7", "ack"))
        ours.publish(own("pi-7", "ack"), b"fence")
        until(lambda: (own("pi-7", "ack"), b"fence") in client.got, "the fence")
        assert {payload for _, payload in client.got} == {b"fence"}
        ours.publish(own("pi-8", "ack"), b"", retain=True)
    # $CONTROL is nobody's, Tidemark's own neither.
    broker.refused(subscription=len(wanted), topic=1)


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_will_on_anothers_topic_is_not_sent(broker: GatedBroker, protocol: int) -> None:
    pi = broker.add("pi-7")
    with broker.plain_client(broker.service()) as ours:
        ours.subscribe("#")
        foreign = broker.tls_client(pi, protocol=protocol, will=own("pi-8", "status"))
        foreign.abandon()
        assert foreign.closed.wait(10)
        mine = broker.tls_client(pi, protocol=protocol, will=own("pi-7", "status"))
        mine.abandon()
        until(lambda: bool(ours.got), "the will that may be sent")
        assert ours.got == [(own("pi-7", "status"), b"will")]
    broker.refused()


def test_further_topics_are_for_the_one_that_has_them(broker: GatedBroker) -> None:
    plug = broker.add("plug-7", "tele/plug-7/#")
    with broker.plain_client(broker.service()) as ours, broker.tls_client(plug, protocol=4) as client:
        ours.subscribe("#")
        client.publish("tele/plug-7/SENSOR", b"mine")
        client.publish("tele/plug-8/SENSOR", b"not mine")
        client.publish("tele/plug-7", b"mine too")
        until(lambda: len(ours.got) == 2, "both")
        assert [payload for _, payload in ours.got] == [b"mine", b"mine too"]
    broker.refused(topic=1)


# How it comes


def handshake(broker: GatedBroker, context: ssl.SSLContext, name: str = "127.0.0.1") -> str:
    """Return the version of a TLS connection, and the answer of MQTT on it. Raises `OSError`."""
    with socket.create_connection(("127.0.0.1", broker.port), 5) as raw:
        with context.wrap_socket(raw, server_hostname=name) as secured:
            secured.sendall(bytes.fromhex("e000"))
            secured.recv(1)
            return str(secured.version())


def exactly(version: ssl.TLSVersion, ca: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # Level 0, or this side would refuse an old version by itself.
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_is_refused_by_the_broker(broker: GatedBroker, version: ssl.TLSVersion) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)alert.protocol.version"):
        handshake(broker, exactly(version, broker.paths.ca))
    broker.refused(tls=1)


@pytest.mark.parametrize(
    ("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")]
)
def test_new_tls_is_taken(broker: GatedBroker, version: ssl.TLSVersion, name: str) -> None:
    assert handshake(broker, exactly(version, broker.paths.ca)) == name


def test_no_tls_at_all(broker: GatedBroker) -> None:
    pi = broker.add("pi-7")
    with socket.create_connection(("127.0.0.1", broker.port), 5) as raw:
        raw.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x0a\x00\x04pi-7")
        with pytest.raises(ConnectionResetError):
            assert raw.recv(1) == b""
            raise ConnectionResetError  # closed is as good as reset
    broker.refused(tls=1)
    del pi


def test_a_client_that_knows_another_ca_stays_away(broker: GatedBroker, tmp_path: Path) -> None:
    other = make_authority("Tidemark on hall", datetime.now(UTC))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(broker, ssl.create_default_context(cadata=other.certificate_pem()))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(broker, ssl.create_default_context())
    broker.refused(tls=2)


def test_a_client_that_wants_another_name_stays_away(broker: GatedBroker) -> None:
    context = ssl.create_default_context(cafile=str(broker.paths.ca))
    assert handshake(broker, context, "localhost")
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(broker, context, "tidemark.example")


def test_an_expired_certificate_is_refused_and_the_next_start_renews_it(tmp_path: Path) -> None:
    broker = GatedBroker(tmp_path)
    try:
        authority = read_identity(broker.paths.ca.read_bytes(), broker.paths.ca_key.read_bytes())
        broker.stop()
        old = issue_server(authority, ["127.0.0.1"], datetime.now(UTC) - SERVER_LASTS - timedelta(days=1))
        write_private(broker.paths.server, old.key_pem() + old.certificate_pem())
        broker.start(prepared=True)
        context = ssl.create_default_context(cafile=str(broker.paths.ca))
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            handshake(broker, context)
        broker.stop()
        broker.start()
        assert handshake(broker, context)
    finally:
        broker.stop()


def test_another_installs_login_and_ca_are_worth_nothing(broker: GatedBroker, tmp_path: Path) -> None:
    other = Gate(GatePaths(tmp_path))
    other.prepare(["127.0.0.1"], datetime.now(UTC), "Tidemark on hall")
    theirs = Login("tidemark", other.paths.service_password.read_text().strip())
    assert "Not authorized" in broker.tls_client(theirs).outcome
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(broker, ssl.create_default_context(cafile=str(other.paths.ca)))
    broker.refused(credentials=1, tls=1)


def test_too_much_at_once(broker: GatedBroker) -> None:
    pi = broker.add("pi-7")
    with broker.plain_client(broker.service()) as ours, broker.tls_client(pi, protocol=4) as client:
        ours.subscribe("#")
        client.client.publish(own("pi-7", "packs"), bytes(300_000), 1)
        assert client.closed.wait(10)
        assert not ours.got
    broker.refused(size=1)


# Revoking


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_revoked_gateway_is_out_at_once(broker: GatedBroker, protocol: int) -> None:
    pi = broker.add("pi-7")
    with broker.plain_client(broker.service()) as ours:
        ours.subscribe("#")
        client = broker.tls_client(pi, client_id="pi-7", protocol=protocol, clean=False, will=own("pi-7", "status"))
        client.subscribe(own("pi-7", "ack"))
        client.publish(own("pi-7", "series", "ab12"), b"retained", retain=True)
        client.publish(own("pi-7", "status"), b"online", retain=True)
        until(lambda: len(ours.got) == 2, "what it said")
        ours.got.clear()
        began = time.monotonic()
        gone, cleared = broker.keeper.revoke("pi-7")
        assert client.closed.wait(2)
        assert time.monotonic() - began < 2
        assert (gone.name, cleared) == ("pi-7", 2)
        ours.publish("fence")
        until(lambda: ("fence", b"x") in ours.got, "the fence")
        said = [(topic, payload) for topic, payload in ours.got if "pi-7" in topic]
        assert sorted(said) == [(own("pi-7", "series", "ab12"), b""), (own("pi-7", "status"), b"")], "no will"
    broker.refused()
    assert "Not authorized" in broker.tls_client(pi, protocol=protocol).outcome
    broker.refused(credentials=1)
    with broker.plain_client(broker.service()) as later:
        assert not [topic for topic, _ in later.subscribe("#").got if "pi-7" in topic]


def test_revoked_while_the_broker_does_not_run(tmp_path: Path) -> None:
    broker = GatedBroker(tmp_path)
    try:
        pi = broker.add("pi-7")
        with broker.tls_client(pi) as client:
            client.publish(own("pi-7", "status"), b"kept", retain=True)
        broker.stop()
        assert broker.keeper.revoke("pi-7")[1] == 0
        broker.start()
        assert "Not authorized" in broker.tls_client(pi).outcome
        with broker.plain_client(broker.service()) as ours:
            ours.subscribe("#")
            ours.publish("fence")
            until(lambda: ("fence", b"x") in ours.got, "the fence")
            assert ours.got == [("fence", b"x")], "what it retained is not delivered"
    finally:
        broker.stop()


def test_changes_leave_the_sessions_of_clients_that_are_away_alone(tmp_path: Path) -> None:
    """Also sessions that the broker read from its disk, and the one of a gateway that is shut out meanwhile."""
    broker = GatedBroker(tmp_path)
    try:
        logins = [broker.add(f"pi-{number}") for number in range(5)]
        for login in logins:
            with broker.tls_client(login, protocol=4, client_id=login.name, clean=False) as client:
                client.subscribe(own(login.name, "ack"))
        broker.stop()
        broker.start()
        broker.keeper.revoke("pi-0")
        broker.keeper.renew(SITE, "pi-1")
        broker.add("pi-9")
        time.sleep(2.5)  # the broker looks for sessions that have expired once a second
        with broker.plain_client(broker.service()) as ours:
            ours.publish(own("pi-2", "ack"), b"kept for it")
        with broker.tls_client(logins[2], protocol=4, client_id="pi-2", clean=False) as back:
            until(lambda: back.got == [(own("pi-2", "ack"), b"kept for it")], "what waited in its session")
        assert "Expiring" not in broker.log.read_text()
    finally:
        broker.stop()


def test_revoking_one_leaves_the_others_alone(broker: GatedBroker) -> None:
    first, second = broker.add("pi-7"), broker.add("pi-8")
    with (
        broker.tls_client(first) as out,
        broker.tls_client(second) as stays,
        broker.plain_client(broker.service()) as us,
    ):
        broker.keeper.revoke("pi-7")
        assert out.closed.wait(2)
        stays.publish(own("pi-8", "packs"))
        assert not stays.closed.is_set()
        assert not us.closed.is_set()


def test_many_changes_shut_nobody_else_out(broker: GatedBroker) -> None:
    """The broker's own count of its memory went wrong with each change, until it refused every connection."""
    with broker.plain_client(broker.service()) as ours:
        for number in range(30):
            pi = broker.add(f"pi-{number}", f"tele/{number}/#")
            with broker.tls_client(pi) as client:
                assert client.is_in
                client.publish(own(pi.name, "packs"))
            broker.keeper.revoke(pi.name)
        ours.publish("anything")
    limits = Path(f"/proc/{broker.pid}/limits").read_text()
    assert re.search(r"Max data size +2147483648 ", limits)
    broker.refused()


# The log


def test_the_log_has_no_secret_and_no_line_for_each_message(broker: GatedBroker) -> None:
    pi = broker.add("pi-7")
    before = broker.log.stat().st_size
    with broker.plain_client(broker.service()) as ours, broker.tls_client(pi) as client:
        ours.subscribe("#")
        for number in range(300):
            client.publish(own("pi-7", "packs"), str(number).encode())
        until(lambda: len(ours.got) == 300, "all")
    assert "Not authorized" in broker.tls_client(Login("pi-7", "wrong-but-secret")).outcome
    broker.refused(credentials=1)
    written = broker.log.read_bytes()[before:]
    assert len(written) < 3_000
    text = broker.log.read_text()
    for secret in (pi.password, "wrong-but-secret", broker.service().password):
        assert secret not in text
    command = Path(f"/proc/{broker.pid}/cmdline").read_bytes()
    assert broker.service().password.encode() not in command


def test_a_filter_that_is_killed_harms_neither_the_broker_nor_the_counts(broker: GatedBroker) -> None:
    (shell,) = children(broker.pid)
    (grep,) = children(shell)
    os.kill(grep, signal.SIGKILL)
    until(lambda: bool(children(shell)) and children(shell) != [grep], "another filter")
    assert "Not authorized" in broker.tls_client(None).outcome
    broker.refused(credentials=1)


def test_a_broker_without_any_filter_works_on_and_leaves_nothing_behind(tmp_path: Path) -> None:
    broker = GatedBroker(tmp_path)
    try:
        (shell,) = children(broker.pid)
        (grep,) = children(shell)
        os.kill(shell, signal.SIGKILL)
        os.kill(grep, signal.SIGKILL)
        pi = broker.add("pi-7")
        with broker.plain_client(broker.service()) as ours, broker.tls_client(pi) as client:
            ours.subscribe("#")
            for _ in range(2_000):  # more lines than the pipe would hold
                client.client.publish(own("pi-7", "packs"), b"x", 1)
            until(lambda: len(ours.got) == 2_000, "all messages")
    finally:
        broker.stop()
    assert not is_alive(grep)


def test_the_filter_ends_with_the_broker(tmp_path: Path) -> None:
    broker = GatedBroker(tmp_path)
    (shell,) = children(broker.pid)
    left = [shell, *children(shell)]
    broker.stop()
    until(lambda: not any(is_alive(pid) for pid in left), "the filter's end")
