"""One attempt at a time: what becomes of a notification after each outcome."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from connectors.kit.clock import ManualClock
from connectors.notifier.channels import DELIVERED, Outcome, Reason
from connectors.notifier.message import Message
from connectors.notifier.metrics import Metrics
from connectors.notifier.outbox import Outbox
from connectors.notifier.stages.deliver import Deliverer
from connectors.notifier.subscriptions import LogChannel, Subscription

HOUR_MS = 3_600_000


class Channel:
    """Answers what it is told to, then that all is well."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[str] = []

    def send(self, message: Message) -> Outcome:
        self.sent.append(message.id)
        return self.outcomes.pop(0) if self.outcomes else DELIVERED

    def close(self) -> None:
        pass


class Bench:
    """An outbox, and deliverers made at will."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(1_000_000)
        self.outbox = Outbox(folder / "outbox.sqlite", self.clock.now_ms)
        self.has_failed = False

    def add(self, *events: str) -> None:
        with self.outbox.intake() as intake:
            for event in events:
                note = Message(id=f"msg-{event}", event_id=event, body=b"{}", title="", text="")
                intake.add("one", event, note, "t/0/0")

    def deliverer(self, channel: Any, address: str = "here", delays_s: tuple[float, ...] = (5.0, 60.0)) -> Deliverer:
        def failed() -> None:
            self.has_failed = True

        return Deliverer(
            Subscription(name="one", channel=LogChannel(type="log", path=Path(address))),
            channel,
            self.outbox,
            delays_s=delays_s,
            metrics=Metrics(),
            log=structlog.get_logger(),
            now_ms=self.clock.now_ms,
            failed=failed,
        )

    def counts(self) -> dict[str, int]:
        found = self.outbox.counts("pending", "delivered", "dead")
        return {state: number for (_, state), number in found.items()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def steps(deliverer: Deliverer, number: int = 20) -> int:
    """Make attempts until nothing is due; return how many were made."""
    return next((made for made in range(number) if not deliverer.step()), number)


def test_what_is_due_is_delivered(bench: Bench) -> None:
    bench.add("e1", "e2")
    channel = Channel()
    assert steps(bench.deliverer(channel)) == 2
    assert channel.sent == ["msg-e1", "msg-e2"]
    assert bench.counts() == {"delivered": 2}


def test_a_failure_is_tried_again_by_the_schedule_with_the_same_id_and_then_given_up(bench: Bench) -> None:
    bench.add("e1")
    channel = Channel(*[Outcome(Reason.SERVER, "HTTP 500")] * 9)
    deliverer = bench.deliverer(channel)
    assert steps(deliverer) == 1
    bench.clock.advance(4_999)
    assert steps(deliverer) == 0
    bench.clock.advance(1_001)
    assert steps(deliverer) == 1
    bench.clock.advance(72_000)
    assert steps(deliverer) == 1
    assert bench.counts() == {"dead": 1}
    assert channel.sent == ["msg-e1"] * 3
    (dead,) = bench.outbox.dead_letters()
    assert (dead.attempts, dead.reason) == (3, "server")


def test_retry_after_holds_the_whole_channel_back(bench: Bench) -> None:
    bench.add("e1", "e2")
    channel = Channel(Outcome(Reason.THROTTLED, "HTTP 429", 100.0))
    deliverer = bench.deliverer(channel)
    assert steps(deliverer) == 1
    bench.clock.advance(99_000)
    assert steps(deliverer) == 0
    bench.clock.advance(1_001)
    assert steps(deliverer) == 2
    assert bench.counts() == {"delivered": 2}


def test_what_is_refused_for_good_is_dead_at_once_and_holds_nothing_back(bench: Bench) -> None:
    bench.add("e1", "e2")
    deliverer = bench.deliverer(Channel(Outcome(Reason.REFUSED, "SMTP 550")))
    assert steps(deliverer) == 2
    assert bench.counts() == {"dead": 1, "delivered": 1}


def test_gone_disables_the_subscription_until_its_address_changes(bench: Bench) -> None:
    bench.add("e1", "e2")
    channel = Channel(Outcome(Reason.GONE, "HTTP 410"))
    assert steps(bench.deliverer(channel)) == 1
    assert bench.counts() == {"dead": 2}
    bench.add("e3")
    restarted = bench.deliverer(channel)
    assert steps(restarted) == 0
    assert bench.counts() == {"dead": 3}
    assert channel.sent == ["msg-e1"]
    bench.add("e4")
    assert steps(bench.deliverer(channel, "elsewhere")) == 1
    assert channel.sent == ["msg-e1", "msg-e4"]


def test_while_a_channel_fails_the_next_waits_and_one_success_ends_that(bench: Bench) -> None:
    bench.add(*[f"e{number}" for number in range(10)])
    channel = Channel(*[Outcome(Reason.UNREACHABLE)] * 3)
    deliverer = bench.deliverer(channel, delays_s=(HOUR_MS / 1000,))
    for made in range(1, 4):
        assert steps(deliverer) == 1
        assert len(channel.sent) == made
        bench.clock.advance(30_000)
    assert steps(deliverer) == 7
    assert bench.counts() == {"delivered": 7, "pending": 3}


def test_one_that_kills_the_service_each_time_is_given_up(bench: Bench) -> None:
    bench.add("e1", "e2")

    class Killer(Channel):
        def send(self, message: Message) -> Outcome:
            if message.event_id == "e1":
                raise SystemExit
            return super().send(message)

    for _ in range(3):
        with pytest.raises(SystemExit):
            steps(bench.deliverer(Killer()))
        bench.clock.advance(HOUR_MS)
    assert steps(bench.deliverer(Killer())) == 2
    (dead,) = bench.outbox.dead_letters()
    assert (dead.event_id, dead.reason) == ("e1", "interrupted")
    assert bench.counts() == {"dead": 1, "delivered": 1}


def test_an_error_of_our_own_is_told_and_not_swallowed(bench: Bench) -> None:
    class Broken(Channel):
        def send(self, message: Message) -> Outcome:
            raise ZeroDivisionError

    bench.add("e1")
    deliverer = bench.deliverer(Broken())
    deliverer.start()
    deliverer.join(5)
    assert bench.has_failed
    assert bench.counts() == {"pending": 1}


def test_a_thread_sleeps_is_woken_and_stops(bench: Bench) -> None:
    channel = Channel()
    deliverer = bench.deliverer(channel)
    deliverer.start()
    bench.add("e1")
    deliverer.wake()
    waited: Callable[[], bool] = lambda: bench.counts() == {"delivered": 1}  # noqa: E731
    for _ in range(200):
        if waited():
            break
        deliverer.join(0.01)
    assert waited()
    deliverer.stop()
    deliverer.join(5)
    assert not deliverer.is_alive()
