import threading
import time

import pytest

from connectors.kit.settings import Settings
from deploy.local import starting
from deploy.local.part import TOPICS, Launch, Part
from deploy.local.starting import NOT_RUNNING, StartFailed, Starting


class Machine:
    """Parts that run once launched, and are healthy after some checks."""

    def __init__(self, checks: dict[str, int] | None = None) -> None:
        self.checks = checks or {}
        self.launched: list[str] = []
        self.failed: set[str] = set()
        self.lock = threading.Lock()

    def launch(self, part: Part) -> None:
        with self.lock:
            self.launched.append(part.name)

    def problem(self, part: Part) -> str | None:
        if part.name not in self.launched or part.name in self.failed:
            return NOT_RUNNING
        left = self.checks.get(part.name, 0)
        self.checks[part.name] = left - 1
        return "not yet" if left > 0 else None

    def has_failed(self, part: Part) -> bool:
        return part.name in self.failed

    def start(self, *parts: Part) -> list[str]:
        said: list[str] = []
        Starting(
            list(parts),
            Settings(),
            launch=self.launch,
            problem=self.problem,
            has_failed=self.has_failed,
            echo=said.append,
        ).run()
        return said


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "POLL_S", 0.002)


def part(name: str, *needs: str, start_s: float = 5.0) -> Part:
    return Part(name, launch=lambda: Launch((name,)), check=lambda: None, needs=needs, start_s=start_s)


def test_a_part_waits_for_what_it_needs() -> None:
    machine = Machine({"store": 5})
    machine.start(part("service", "store"), part("store"))
    assert machine.launched == ["store", "service"]


def test_what_needs_nothing_starts_at_once() -> None:
    machine = Machine({"slow": 20})
    machine.start(part("slow"), part("after", "slow"), part("quick"))
    assert machine.launched.index("quick") < machine.launched.index("after")


def test_a_need_that_is_not_started_here_counts_as_there() -> None:
    machine = Machine()
    machine.start(part("service", "mosquitto"))
    assert machine.launched == ["service"]


def test_the_topics_are_made_between(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine({"kafka": 3})
    order: list[str] = []
    monkeypatch.setattr("deploy.bootstrap.make_topics", lambda _: order.append("topics") or ["readings"])
    said = machine.start(part("bridge", TOPICS), part("kafka"))
    assert machine.launched == ["kafka", "bridge"]
    assert order == ["topics"]
    assert [line.split()[2] for line in said] == ["kafka", "topics", "bridge"]


def test_the_topics_are_made_in_a_users_own_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr("deploy.bootstrap.make_topics", lambda _: order.append("topics") or [])
    Machine().start(part("bridge", TOPICS))
    assert order == ["topics"]


def test_a_part_that_ends_is_told_and_nothing_waits_for_it() -> None:
    machine = Machine()
    machine.failed.add("store")
    began = time.monotonic()
    with pytest.raises(StartFailed, match="store ended while it was starting") as failure:
        machine.start(part("store"), part("service", "store"))
    assert failure.value.part == "store"
    assert machine.launched == ["store"]
    assert time.monotonic() - began < 2


def test_a_part_that_never_becomes_healthy_is_given_up() -> None:
    machine = Machine({"store": 10**6})
    with pytest.raises(StartFailed, match="store is not healthy after 0 s: not yet"):
        machine.start(part("store", start_s=0.05))


def test_a_part_that_cannot_be_launched_is_told() -> None:
    machine = Machine()
    machine.launch = lambda _: (_ for _ in ()).throw(FileNotFoundError("no such program"))  # type: ignore[method-assign]
    with pytest.raises(StartFailed, match="store can't be started: no such program"):
        machine.start(part("store"))


def test_nothing_to_start_is_fine() -> None:
    assert Machine().start() == []
