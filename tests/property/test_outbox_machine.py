"""The outbox through events, attempts, failures and crashes in any order: nothing lost, nothing twice for nothing."""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from connectors.kit.clock import ManualClock
from connectors.notifier.channels import Outcome, Reason
from connectors.notifier.message import Message, message_id
from connectors.notifier.outbox import Claim, Outbox
from connectors.notifier.schedule import next_due_ms

SUBSCRIPTIONS = ("one", "two")
DELAYS_S = (1.0, 10.0)
LEASE_MS = 5_000
FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A crash of a process keeps what it wrote, so memory serves as well as a disk, and is quicker."""


class Crash(Exception):
    """The process dies here."""


class OutboxMachine(RuleBasedStateMachine):
    """A log of events, an outbox, two receivers; the process may die between any two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=FOLDER))
        self.clock = ManualClock(1_000_000)
        self.outbox = Outbox(self.folder / "outbox.sqlite", self.clock.now_ms)
        self.log: list[tuple[str, str]] = []
        self.taken = 0
        self.claims: dict[str, Claim] = {}
        self.received: list[tuple[str, str]] = []
        self.unmarked: Counter[tuple[str, str]] = Counter()
        self.ended: dict[tuple[str, str], str] = {}

    def teardown(self) -> None:
        self.outbox.close()
        shutil.rmtree(self.folder)

    @initialize()
    def start(self) -> None:
        self.write_log(["a", "a", "b"])

    @rule(alerts=st.lists(st.sampled_from("ab"), min_size=1, max_size=3))
    def write_log(self, alerts: list[str]) -> None:
        self.log += [(f"e{len(self.log) + number}", alert) for number, alert in enumerate(alerts)]

    @rule(size=st.integers(1, 4), dies=st.booleans(), from_start=st.booleans())
    def take_in(self, size: int, dies: bool, from_start: bool) -> None:
        """Read on from the outbox's offset (or all again, as after a reset), and perhaps die before the commit."""
        start = 0 if from_start else (self.outbox.next_offset("t", 0) or 0)
        assert from_start or start == self.taken
        end = min(len(self.log), start + size)
        try:
            with self.outbox.intake() as intake:
                for event, alert in self.log[start:end]:
                    for name in SUBSCRIPTIONS:
                        note = Message(id=message_id(name, event), event_id=event, body=b"{}", title="", text="")
                        intake.add(name, alert, note, "t/0/0")
                intake.advance("t", 0, max(self.taken, end))
                if dies:
                    raise Crash
            self.taken = max(self.taken, end)
        except Crash:
            self.restart()

    @rule(name=st.sampled_from(SUBSCRIPTIONS))
    def claim(self, name: str) -> None:
        claim = self.outbox.claim(name, LEASE_MS)
        if claim is None:
            return
        number = int(claim.message.event_id[1:])
        earlier = {event for event, alert in self.log[:number] if alert == self.log[number][1]}
        assert all((name, event) in self.ended for event in earlier)
        if name not in self.claims:
            self.claims[name] = claim
            return
        assert claim.row != self.claims[name].row
        self.mark_failed(name, claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), end=st.sampled_from(["failed", "delivered", "lost", "refused"]), dies=st.booleans())
    def attempt(self, data: st.DataObject, end: str, dies: bool) -> None:
        """Send, and perhaps die before the outcome is marked."""
        name = data.draw(st.sampled_from(sorted(self.claims)))
        claim = self.claims.pop(name)
        if end in ("delivered", "lost"):
            self.received.append((name, claim.message.event_id))
        if dies:
            self.unmarked[name, claim.message.event_id] += end == "delivered"
            self.unmarked[name, claim.message.event_id] += end == "lost"
            self.restart()
        elif end == "delivered":
            self.outbox.delivered(claim, 1)
            self.ended[name, claim.message.event_id] = "delivered"
        elif end == "refused":
            self.outbox.dead(claim, Outcome(Reason.REFUSED), 1)
            self.ended[name, claim.message.event_id] = "dead"
        else:
            self.unmarked[name, claim.message.event_id] += end == "lost"
            self.mark_failed(name, claim)

    def mark_failed(self, name: str, claim: Claim) -> None:
        outcome = Outcome(Reason.UNREACHABLE)
        due = next_due_ms(claim.attempt, self.clock.now_ms(), DELAYS_S, lambda: 0.0)
        if due is None:
            self.outbox.dead(claim, outcome, 1)
            self.ended[name, claim.message.event_id] = "dead"
        else:
            self.outbox.later(claim, outcome, 1, due)

    @rule(milliseconds=st.sampled_from([100, 1_000, 11_000]))
    def time_passes(self, milliseconds: int) -> None:
        # A live process ends its attempt before the lease ends: the channel's time limit sees to that.
        if not self.claims:
            self.clock.advance(milliseconds)

    @rule()
    def restart(self) -> None:
        self.outbox.close()
        self.outbox = Outbox(self.folder / "outbox.sqlite", self.clock.now_ms)
        self.claims = {}

    @rule()
    def send_dead_again(self) -> None:
        self.ended = {key: state for key, state in self.ended.items() if state != "dead"}
        self.outbox.send_again([dead.row for dead in self.outbox.dead_letters()])

    @invariant()
    def every_event_taken_in_is_one_row_a_subscription(self) -> None:
        counts = self.outbox.counts("pending", "delivered", "dead")
        for name in SUBSCRIPTIONS:
            assert sum(number for (each, _), number in counts.items() if each == name) == self.taken

    @invariant()
    def nothing_is_received_twice_but_after_a_crash_or_a_lost_answer(self) -> None:
        for (name, event), times in Counter(self.received).items():
            assert times <= 1 + self.unmarked[name, event], (name, event)

    @invariant()
    def what_counts_as_delivered_was_received(self) -> None:
        delivered = sum(self.outbox.counts("delivered").values())
        assert delivered <= len(set(self.received))

    @rule()
    def heal_and_drain(self) -> None:
        """All is well again: whatever was taken in arrives, in the order of its alert."""
        self.restart()
        self.send_dead_again()
        for name in SUBSCRIPTIONS:
            last: dict[str, int] = {}
            while self.outbox.next_due_ms(name) is not None:
                claim = self.outbox.claim(name, LEASE_MS)
                if claim is None:
                    self.clock.advance(11_000)
                    continue
                number = int(claim.message.event_id[1:])
                alert = self.log[number][1]
                assert last.get(alert, -1) < number
                last[alert] = number
                self.received.append((name, claim.message.event_id))
                self.outbox.delivered(claim, 1)
                self.ended[name, claim.message.event_id] = "delivered"
            assert {event for each, event in self.received if each == name} == {
                event for event, _ in self.log[: self.taken]
            }


OutboxMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestOutbox = OutboxMachine.TestCase
