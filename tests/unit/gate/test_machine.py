"""By which names this machine is reached, and where it may listen."""

import pytest

from connectors.kit.listen import ListenAddress, parse_listen
from connectors.kit.settings import MqttSettings, Settings, StackSettings
from deploy.local.gate.certificates import issue_server, make_authority, names_of
from deploy.local.gate.machine import (
    Machine,
    certificate_names,
    problem_of,
    problem_with,
    public_host,
    this_machine,
)

HALL = Machine("hall", ("127.0.0.1", "::1", "10.0.0.5", "fd00::5"))


def test_every_address_stands_for_all_of_the_machines() -> None:
    names = certificate_names(parse_listen("0.0.0.0"), ["tidemark.example"], HALL)
    assert set(names) == {*HALL.addresses, "hall", "hall.local", "localhost", "tidemark.example"}
    assert set(names) == set(certificate_names(parse_listen("::"), ["tidemark.example"], HALL))


def test_one_address_stands_for_itself() -> None:
    names = certificate_names(parse_listen("10.0.0.5"), [], HALL)
    assert names == ("10.0.0.5", "hall", "hall.local", "localhost")


def test_a_machine_without_a_name_that_could_be_written() -> None:
    assert certificate_names(parse_listen("10.0.0.5"), [], Machine("", ())) == ("10.0.0.5", "localhost")
    full = Machine("hall.example", ("10.0.0.5",))
    assert "hall.example.local" not in certificate_names(parse_listen("10.0.0.5"), [], full)


@pytest.mark.parametrize(
    ("listen", "more", "host"),
    [
        ("0.0.0.0", [], "10.0.0.5"),
        ("0.0.0.0", ["tidemark.example", "10.0.0.9"], "tidemark.example"),
        ("fd00::5", [], "fd00::5"),
    ],
)
def test_what_gateways_are_told(listen: str, more: list[str], host: str) -> None:
    assert public_host(parse_listen(listen), more, HALL) == host
    assert host in certificate_names(parse_listen(listen), more, HALL)


def test_a_machine_with_nothing_but_loopback() -> None:
    assert public_host(parse_listen("0.0.0.0"), [], Machine("hall", ("127.0.0.1",))) == "hall"
    assert public_host(parse_listen("0.0.0.0"), [], Machine("", ())) == "localhost"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "fd00::5", "127.0.0.1", "127.1.2.3", "::1"])
def test_where_it_may_listen(host: str) -> None:
    assert problem_with(ListenAddress(host, 8883), HALL) == ""


def test_where_it_may_not() -> None:
    assert "it has 127.0.0.1, ::1, 10.0.0.5, fd00::5" in problem_with(ListenAddress("10.0.0.6", 8883), HALL)


def test_this_machine_can_have_a_certificate() -> None:
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    names = certificate_names(parse_listen("0.0.0.0"), [], this_machine())
    assert "127.0.0.1" in names
    assert names_of(issue_server(make_authority("ca", now), names, now).certificate) == names


@pytest.mark.parametrize(
    ("mqtt", "stack", "said"),
    [
        (MqttSettings(), StackSettings(), ""),
        (MqttSettings(), StackSettings(listen="10.0.0.5"), ""),
        (MqttSettings(host="localhost"), StackSettings(listen="0.0.0.0"), ""),
        (MqttSettings(), StackSettings(listen="10.0.0.6"), "is no address of this machine"),
        (MqttSettings(), StackSettings(listen="0.0.0.0", parts=["kafka"]), "add mosquitto to stack.parts"),
        (MqttSettings(host="10.0.0.5"), StackSettings(listen="0.0.0.0"), "set mqtt.host to 127.0.0.1"),
        (MqttSettings(host="broker.example"), StackSettings(listen="0.0.0.0"), "set mqtt.host to 127.0.0.1"),
        (MqttSettings(tls=True), StackSettings(listen="0.0.0.0"), "set mqtt.tls to false"),
    ],
)
def test_settings_that_contradict(mqtt: MqttSettings, stack: StackSettings, said: str) -> None:
    found = problem_of(Settings(mqtt=mqtt, stack=stack), HALL)
    assert said in found
    assert bool(found) == bool(said)
