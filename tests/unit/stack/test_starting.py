import threading

import pytest

from connectors.kit.settings import Settings
from deploy.local import starting
from deploy.local.part import TOPICS, Launch, Part
from deploy.local.starting import NOT_RUNNING, Ending, StartFailed, Starting


class Machine:
    """Parts that run once launched, and are healthy after some checks."""

    def __init__(self, checks: dict[str, int] | None = None) -> None:
        self.checks = checks or {}
        self.launched: list[str] = []
        self.exit_codes: dict[str, int] = {}
        self.looks = 0
        self.lock = threading.Lock()

    def launch(self, part: Part) -> None:
        with self.lock:
            self.launched.append(part.name)

    def problem(self, part: Part) -> str | None:
        if part.name not in self.launched or part.name in self.exit_codes:
            return NOT_RUNNING
        left = self.checks.get(part.name, 0)
        self.checks[part.name] = left - 1
        return "not yet" if left > 0 else None

    def ending(self, part: Part) -> Ending | None:
        """One that fails ends each time one looks."""
        if part.name not in self.launched or part.name not in self.exit_codes:
            return None
        self.looks += 1
        return Ending(self.looks, self.exit_codes[part.name])

    def start(self, *parts: Part) -> list[str]:
        said: list[str] = []
        Starting(
            list(parts),
            Settings(),
            launch=self.launch,
            problem=self.problem,
            ending=self.ending,
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


@pytest.mark.parametrize(("exit_code", "attempts"), [(1, 3), (137, 3), (2, 1), (127, 1)])
def test_a_part_that_ends_is_told_and_nothing_waits_for_it(exit_code: int, attempts: int) -> None:
    machine = Machine()
    machine.exit_codes["store"] = exit_code
    with pytest.raises(StartFailed, match="store ended while it was starting") as failure:
        machine.start(part("store"), part("service", "store"))
    assert failure.value.part == "store"
    assert machine.launched == ["store"]
    assert machine.looks == attempts


def test_a_part_that_ends_once_is_waited_for() -> None:
    machine = Machine()
    machine.exit_codes["store"] = 239

    def ending(one: Part) -> Ending | None:
        if one.name in machine.launched:
            machine.exit_codes.clear()
        return Ending(1, 239) if one.name in machine.launched else None

    machine.ending = ending  # type: ignore[method-assign]
    machine.start(part("store"))


def test_an_ending_of_an_earlier_run_does_not_count() -> None:
    machine = Machine({"store": 3})
    machine.ending = lambda _: Ending(1, 2)  # type: ignore[method-assign]
    machine.start(part("store"))


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
