import os
import socket
from collections.abc import Iterator

import pytest

from connectors.kit.settings import Settings
from deploy.local.layout import Layout
from deploy.local.ports import PortUse, free_ports, is_free, on_free_ports, taken, twice
from deploy.local.programs import all_parts


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_told_with_owner_and_mend(busy: int) -> None:
    (sentence,) = taken([PortUse("mqtt.port", "127.0.0.1", busy)])
    assert f"port {busy} (mqtt.port) is taken by" in sentence
    assert f"(pid {os.getpid()})" in sentence
    assert "name another port in mqtt.port" in sentence


def test_free_ports_are_free_and_distinct() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(is_free("127.0.0.1", port) for port in ports)
    assert taken(PortUse("x", "127.0.0.1", port) for port in ports) == []


def test_a_port_named_twice_is_told() -> None:
    uses = [PortUse("mqtt.port", "127.0.0.1", 1), PortUse("flink.rest", "127.0.0.1", 1)]
    assert twice(uses) == ["port 1 is named by both mqtt.port and flink.rest; change one of them"]


def test_no_two_parts_share_a_port_by_default(tmp_path: object) -> None:
    layout = Layout(Settings().stack.data.absolute())
    uses = [use for part in all_parts(Settings(), layout).values() for use in part.ports]
    assert twice(uses) == []


def test_every_port_of_the_stack_can_be_moved() -> None:
    layout = Layout(Settings().stack.data.absolute())

    def ports(settings: Settings) -> dict[str, int]:
        return {use.setting: use.port for part in all_parts(settings, layout).values() for use in part.ports}

    before, after = ports(Settings()), ports(on_free_ports(Settings()))
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
