"""The device's core against a broker and a bridge that forget, whatever happens in whatever order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from simulators.device.sender import Sender, SendLimits

WINDOW = 5
LIMITS = SendLimits(
    window=WINDOW, ack_timeout_ms=100, ack_timeout_max_ms=400, puback_timeout_ms=1_000, unheard_retry_ms=80
)


class DeviceAndWorld(RuleBasedStateMachine):
    """The outbox is a pair of numbers that a crash of the device leaves alone; all else may be lost."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.newest = 0
        self.acked = 0
        self.in_kafka = 0
        self.broker: list[int] = []
        self.wire: list[int] = []
        self.subscribed = False
        self.appeared: list[int] = []
        self.online = False
        self.receive_maximum = 10
        self.lossless = False
        self.core = Sender(LIMITS, 0, 0)

    @initialize(maximum=st.integers(1, 8), lossless=st.booleans())
    def broker_takes(self, maximum: int, lossless: bool) -> None:
        self.receive_maximum = maximum
        self.lossless = lossless

    @rule(count=st.integers(1, 6))
    def commit(self, count: int) -> None:
        self.newest += count
        self.core.committed(self.newest)
        self.send()

    @rule()
    def connect(self) -> None:
        if not self.online:
            self.core.connected(self.receive_maximum, self.now)
            self.online = True
            self.send()

    @rule()
    def break_connection(self) -> None:
        self.core.disconnected()
        self.wire.clear()
        self.online = False

    @rule(ms=st.integers(1, 300))
    def wait(self, ms: int) -> None:
        self.now += ms
        self.send()

    def send(self) -> None:
        for seq in self.core.due(self.now):
            assert self.online
            assert self.acked < seq <= min(self.newest, self.acked + WINDOW)
            assert seq not in self.wire
            self.wire.append(seq)
            self.core.published(seq, self.now)
            assert len(self.wire) <= self.receive_maximum

    @precondition(lambda self: self.wire)
    @rule(count=st.integers(1, 5))
    def puback(self, count: int) -> None:
        for seq in self.wire[:count]:
            if self.subscribed:
                self.broker.append(seq)
                self.core.taken(seq)
            else:
                self.core.unheard(seq, self.now)
        del self.wire[:count]
        self.send()

    @rule(before=st.integers(0, 3))
    def bridge_subscribes(self, before: int) -> None:
        """It does so at any time, so amid a burst."""
        self.puback(before)
        self.subscribed = True
        self.puback(1)

    @precondition(lambda self: self.wire and not self.lossless)
    @rule()
    def refuse(self) -> None:
        self.core.refused(self.wire.pop(0))

    @rule(count=st.integers(1, 5))
    def bridge_takes(self, count: int) -> None:
        for seq in self.broker[:count]:
            if seq == self.in_kafka + 1:
                self.in_kafka = seq
            if seq not in self.appeared:
                self.appeared.append(seq)
        del self.broker[:count]

    @rule()
    def ack(self) -> None:
        if self.online:
            self.core.acknowledged(self.in_kafka, self.now)
            self.acked = max(self.acked, self.in_kafka)

    @precondition(lambda self: not self.lossless)
    @rule()
    def broker_loses_its_queue(self) -> None:
        self.broker.clear()

    @rule()
    def broker_forgets_all(self) -> None:
        self.broker.clear()
        self.subscribed = False
        self.break_connection()

    @rule(kept=st.integers(0, 10))
    def broker_falls_back(self, kept: int) -> None:
        """Killed, it comes back with its sessions and without what it took last."""
        del self.broker[kept:]
        self.break_connection()

    @rule()
    def device_crashes(self) -> None:
        self.wire.clear()
        self.online = False
        self.core = Sender(LIMITS, self.acked, self.newest)

    @invariant()
    def the_marks_are_in_order(self) -> None:
        assert self.core.acked == self.acked <= self.in_kafka <= self.newest
        assert self.core.next > self.core.acked

    @invariant()
    def packs_first_appear_in_order(self) -> None:
        """Unless the broker refuses one or drops some of its queue while the connection stands."""
        if self.lossless:
            assert self.appeared == sorted(self.appeared)

    @rule()
    def all_works_for_a_while(self) -> None:
        self.connect()
        self.wait(81)
        for _ in range(3):
            self.puback(WINDOW)
            self.bridge_takes(100)

    def teardown(self) -> None:
        """Once all works again, everything committed gets into Kafka and out of the outbox, without other help."""
        self.subscribed = True
        for _ in range(40 + 8 * self.newest):
            self.connect()
            self.wait(401)
            self.puback(100)
            self.bridge_takes(100)
            self.ack()
            if self.acked == self.newest:
                break
        assert self.acked == self.newest
        assert self.core.idle


DeviceAndWorld.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestDeviceAndWorld = DeviceAndWorld.TestCase
