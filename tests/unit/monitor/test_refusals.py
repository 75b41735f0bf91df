"""Which of the broker's lines tell of a refusal. The lines are recorded from mosquitto 2.0.11."""

from pathlib import Path

import pytest

from connectors.monitor.brokerlog import BrokerLog
from connectors.monitor.metrics import Metrics
from connectors.monitor.refusals import REASONS, Reason, Refusals, refusal

AT = "2026-11-24T02:04:53: "

REFUSED: list[tuple[Reason, str]] = [
    ("credentials", "Client auto-8E30A6E5-9018-053C-6BA3-103F823DA37B disconnected, not authorised."),
    ("credentials", "Client <unknown> disconnected, not authorised."),
    ("topic", "Denied PUBLISH from a (d0, q1, r0, m1, 'tidemark/v1/s/b/packs', ... (8 bytes))"),
    ("topic", "Denied PUBLISH from a (d0, q1, r0, m1, 'x: Client y disconnected, not authorised.', ... (1 bytes))"),
    ("topic", "Denied PUBLISH from a (d0, q1, r0, m1, '$CONTROL/dynamic-security/v1', ... (1 bytes))"),
    ("tls", "Client connection from 127.0.0.1 failed: error:0A00010B:SSL routines::wrong version number."),
    ("tls", "OpenSSL Error[0]: error:0A000102:SSL routines::unsupported protocol"),
    ("tls", "OpenSSL Error[0]: error:0A000418:SSL routines::tlsv1 alert unknown ca"),
    ("connections", "Client connection from 127.0.0.1 denied: max_connections exceeded."),
    ("size", "Client a disconnected due to oversize packet."),
    ("size", "Client <unknown> disconnected due to oversize packet."),
    ("protocol", "Client <unknown> disconnected due to protocol error."),
    ("protocol", "Client a disconnected due to malformed packet."),
]
PASSED = [
    "Warning: Mosquitto should not be run as root/administrator.",
    "New connection from 127.0.0.1:47366 on port 28883.",
    "New client connected from 127.0.0.1:47374 as a (p2, c1, k60000, u'a').",
    "Client a disconnected.",
    "Client a closed its connection.",
    "Client a already connected, closing old connection.",
    # The line beside `OpenSSL Error`, which is counted already.
    "Client <unknown> disconnected: Protocol error.",
    # A peer that went without a goodbye: a power cut, or a look at the port.
    "OpenSSL Error[0]: error:0A000126:SSL routines::unexpected eof while reading",
    "Client connection from 127.0.0.1 failed: error:0A000126:SSL routines::unexpected eof while reading.",
    "OpenSSL Error[1]: error:0A000102:SSL routines::unsupported protocol",
    "a 1 tidemark/v1/s/a/ack",
    "tidemark 0 $SYS/broker/publish/messages/dropped",
    "tidemark-bridge 1 tidemark/v1/+/+/packs",
    "Received SUBSCRIBE from a",
    "\t# (QoS 1)",
    "Reloading config.",
    "",
]


@pytest.mark.parametrize(("reason", "line"), REFUSED)
def test_refused(reason: str, line: str) -> None:
    assert refusal(AT + line) == reason


@pytest.mark.parametrize("line", PASSED)
def test_not_refused(line: str) -> None:
    assert refusal(AT + line) is None


def test_every_reason_is_recorded() -> None:
    assert {reason for reason, _ in REFUSED} | {"subscription"} == set(REASONS)


def test_half_a_line_and_bytes_that_are_no_text() -> None:
    for line in ("", "2026", "2026-11-24T02:04:53:", "\ufffd\ufffd", AT + "Denied"):
        assert refusal(line) is None


def read(*lines: str) -> list[Reason]:
    refusals = Refusals()
    return [reason for line in lines if (reason := refusals.read(AT + line)) is not None]


RECEIVED, SENT = "Received SUBSCRIBE from a", "Sending SUBACK to a"


@pytest.mark.parametrize("topic", ["#", "$SYS/#", "$share/x/#", "a topic (QoS 1)", "a 1 b"])
def test_a_subscription_that_is_not_granted(topic: str) -> None:
    asked, granted = f"\t{topic} (QoS 1)", f"a 1 {topic}"
    assert read(RECEIVED, asked, granted, SENT) == []
    assert read(RECEIVED, asked, SENT) == ["subscription"]
    assert read(RECEIVED, asked, SENT, RECEIVED, asked, granted, SENT) == ["subscription"]
    assert read(RECEIVED, asked, asked, granted, asked, SENT) == ["subscription"] * 2
    assert read(asked, granted, SENT) == [], "a will's topic, or the rest of what was not seen whole"


def test_a_subscription_that_is_broken() -> None:
    malformed = "Client a disconnected due to malformed packet."
    assert read(RECEIVED, malformed) == ["protocol"]
    assert read(RECEIVED, "\t# (QoS 1)", malformed, RECEIVED, SENT) == ["protocol"]
    assert read(RECEIVED, RECEIVED, "\t# (QoS 1)", SENT, "Denied PUBLISH from a (") == ["subscription", "topic"]


def test_a_log_is_counted_as_it_grows(tmp_path: Path) -> None:
    log = tmp_path / "mosquitto.log"
    log.write_text(f"{AT}Client <unknown> disconnected, not authorised.\n")
    broker = BrokerLog(log)
    metrics = Metrics()
    metrics.count(broker.refusals())
    assert shown(metrics) == dict.fromkeys(REASONS, 0.0), "what was before is not news"
    with log.open("a") as file:
        file.write(f"{AT}Client <unknown> disconnected, not authorised.\n{AT}{RECEIVED}\n{AT}\t# (Qo")
    metrics.count(broker.refusals())
    with log.open("a") as file:
        file.write(f"S 1)\n{AT}{SENT}\n")
    metrics.count(broker.refusals())
    metrics.count(broker.refusals())
    assert shown(metrics) == dict.fromkeys(REASONS, 0.0) | {"credentials": 1.0, "subscription": 1.0}


def shown(metrics: Metrics) -> dict[str, float | None]:
    name = "tidemark_monitor_broker_refusals_total"
    return {reason: metrics.registry.get_sample_value(name, {"reason": reason}) for reason in REASONS}
