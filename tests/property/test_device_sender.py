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
        self.session = False
        self.online = False
        self.receive_maximum = 10
        self.core = Sender(LIMITS, 0, 0)

    @initialize(maximum=st.integers(1, 8))
    def broker_takes(self, maximum: int) -> None:
        self.receive_maximum = maximum

    @rule(count=st.integers(1, 6))
    def commit(self, count: int) -> None:
        self.newest += count
        self.core.committed(self.newest)

    @rule()
    def connect(self) -> None:
        if not self.online:
            self.core.connected(self.session, self.receive_maximum, self.now)
            self.online = self.session = True

    @rule()
    def break_connection(self) -> None:
        self.core.disconnected()
        self.wire.clear()
        self.online = False

    @rule(ms=st.integers(1, 300))
    def wait(self, ms: int) -> None:
        self.now += ms

    @rule()
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
            self.broker.append(seq)
            self.core.taken(seq)
        del self.wire[:count]

    @precondition(lambda self: self.wire)
    @rule()
    def refuse(self) -> None:
        self.core.refused(self.wire.pop(0))

    @precondition(lambda self: self.wire)
    @rule(count=st.integers(1, 5))
    def nobody_subscribes(self, count: int) -> None:
        for seq in self.wire[:count]:
            self.core.unheard(seq, self.now)
        del self.wire[:count]

    @rule(count=st.integers(1, 5))
    def bridge_takes(self, count: int) -> None:
        for seq in self.broker[:count]:
            if seq == self.in_kafka + 1:
                self.in_kafka = seq
        del self.broker[:count]

    @rule()
    def ack(self) -> None:
        if self.online:
            self.core.acknowledged(self.in_kafka, self.now)
            self.acked = max(self.acked, self.in_kafka)

    @rule()
    def broker_loses_its_queue(self) -> None:
        self.broker.clear()

    @rule()
    def broker_crashes(self) -> None:
        self.broker.clear()
        self.session = False
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

    def teardown(self) -> None:
        """Once all works again, everything committed gets into Kafka and out of the outbox, without other help."""
        for _ in range(40 + 8 * self.newest):
            self.connect()
            self.wait(401)
            self.send()
            self.puback(100)
            self.bridge_takes(100)
            self.ack()
            if self.acked == self.newest:
                break
        assert self.acked == self.newest
        assert self.core.idle


DeviceAndWorld.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestDeviceAndWorld = DeviceAndWorld.TestCase
