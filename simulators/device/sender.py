"""What to send next: the pure core of the device client. It knows no MQTT, disk or clock.

Two marks move over the sequence numbers of the outbox: `acked` (in Kafka, by the bridge's word) and `next` (given to
MQTT). A broker's PUBACK only makes room: a broker that was killed comes back with the sessions of a moment before and
without what it took since, and looks like one that lost nothing. So each connection begins again behind `acked`, with
a single pack until one reaches a subscriber; else a bridge that subscribes amid a burst would get the later half first.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class SendLimits:
    """What bounds sending.

    Attributes
    ----------
    window
        Packs sent and not yet acknowledged by the bridge: bounds the broker's queue while the bridge is away.
    ack_timeout_ms
        Without progress for so long, everything unacknowledged is sent again: the broker may have lost it.
    ack_timeout_max_ms
        The timeout doubles up to this while nothing helps, so that a long outage of Kafka doesn't fill the broker with
        copies.
    unheard_retry_ms
        A broker that says that nobody subscribes (the bridge hasn't yet, or the broker forgot it) is asked again after
        so long, with a single pack, instead of being fed packs that it throws away.
    puback_timeout_ms
        A PUBACK overdue by so long means a connection that is stuck though it looks alive: open another.
    """

    window: int = 64
    ack_timeout_ms: int = 5_000
    ack_timeout_max_ms: int = 40_000
    unheard_retry_ms: int = 1_000
    puback_timeout_ms: int = 20_000


class Sender:
    """Decides which packs to publish, given what was committed, taken and acknowledged, and the time.

    Times are milliseconds of any clock that doesn't step back. `resent` counts publishes of a pack beyond its first.
    """

    def __init__(self, limits: SendLimits, acked: int, newest: int) -> None:
        self.limits = limits
        self.acked = acked
        self.newest = newest
        self.next = acked + 1
        self.resent = 0
        self._flight: dict[int, int] = {}
        self._highest = acked
        self._cap = 0
        self._waiting_since = 0
        self._timeout = limits.ack_timeout_ms
        self._probing = False
        self._quiet_until: int | None = None

    @property
    def outstanding(self) -> bool:
        """Whether something sent waits for the bridge's ack."""
        return self.next > self.acked + 1

    @property
    def idle(self) -> bool:
        """Whether everything committed is acknowledged."""
        return self.acked >= self.newest

    def committed(self, newest: int) -> None:
        """Packs up to `newest` are in the outbox."""
        self.newest = max(self.newest, newest)

    def connected(self, receive_maximum: int, now_ms: int) -> None:
        """A connection is ready; it takes `receive_maximum` packs without PUBACK."""
        self._cap = max(1, receive_maximum)
        self._flight.clear()
        self._probing = True
        self._quiet_until = None
        self._rewind()
        self._timeout = self.limits.ack_timeout_ms
        self._waiting_since = now_ms

    def disconnected(self) -> None:
        """The connection is gone, and with it what was on its way."""
        self._cap = 0
        self._flight.clear()

    def due(self, now_ms: int) -> Iterator[int]:
        """Yield the packs to publish now, in order; the caller says `published` before it takes the next."""
        if self._cap and self.outstanding and now_ms - self._waiting_since >= self._timeout:
            self._rewind()
            self._timeout = min(2 * self._timeout, self.limits.ack_timeout_max_ms)
            self._waiting_since = now_ms
        if self._quiet_until is not None:
            if now_ms < self._quiet_until:
                return
            self._quiet_until = None
            self._rewind()
        while self.room() > 0 and self.next <= self.newest:
            if self.next in self._flight:
                self.next += 1
                continue
            yield self.next

    def published(self, seq: int, now_ms: int) -> None:
        """`seq` was given to MQTT."""
        if not self.outstanding:
            self._waiting_since = now_ms
        if seq <= self._highest:
            self.resent += 1
        self._highest = max(self._highest, seq)
        self._flight[seq] = now_ms
        self.next = seq + 1

    def taken(self, seq: int) -> None:
        """The broker has `seq`, and someone subscribes to it."""
        if self._flight.pop(seq, None) is not None:
            self._probing = False

    def refused(self, seq: int) -> None:
        """The broker refused `seq`; it is sent again after the timeout."""
        self._flight.pop(seq, None)

    def unheard(self, seq: int, now_ms: int) -> None:
        """The broker threw `seq` away, because nobody subscribes."""
        if self._flight.pop(seq, None) is not None:
            self._probing = True
            self._quiet_until = now_ms + self.limits.unheard_retry_ms

    def acknowledged(self, seq: int, now_ms: int) -> bool:
        """The bridge has everything up to `seq` in Kafka; return whether that is news."""
        seq = min(seq, self.newest)
        if seq <= self.acked:
            return False
        self.acked = seq
        self.next = max(self.next, seq + 1)
        self._waiting_since = now_ms
        self._timeout = self.limits.ack_timeout_ms
        return True

    def stuck(self, now_ms: int) -> bool:
        """Whether a PUBACK is so late that the connection should be given up."""
        oldest = next(iter(self._flight.values()), None)
        return oldest is not None and now_ms - oldest >= self.limits.puback_timeout_ms

    def room(self) -> int:
        """How many packs from `next` on may go before a PUBACK or an ack makes more room."""
        cap = min(self._cap, 1) if self._probing else self._cap
        return min(cap - len(self._flight), self.acked + self.limits.window + 1 - self.next)

    def _rewind(self) -> None:
        self.next = self.acked + 1
