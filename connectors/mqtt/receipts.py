"""When a message that tells no time was first received: also when the broker delivers it again.

Its readings are stamped with the receive time, and that stamp is part of what they are known by. A message that is
delivered again (MQTT's DUP flag, the same packet id) must therefore get the stamp that it got at first. Within a
process that is remembered. Of an earlier process, the readings that it wrote last are asked: their sequence numbers
are hashes of their content, stamp and packet id, so the stamp that gives a known number is the right one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b

from connectors.mqtt.messages import Message


@dataclass(frozen=True, slots=True)
class Written:
    """A mapped reading in Kafka from before this start."""

    gateway: str
    seq: int
    received_ms: int


class Receipts:
    """The first receive time of messages.

    Parameters
    ----------
    written
        The readings that earlier processes wrote last. What they had not acknowledged is among them.
    """

    def __init__(self, written: Iterable[Written] = ()) -> None:
        # A packet id is one of 65,535, so this is bounded.
        self._first: dict[int, tuple[bytes, int]] = {}
        self._stamps: dict[str, set[int]] = defaultdict(set)
        self._known: set[tuple[str, int]] = set()
        for one in written:
            self._stamps[one.gateway].add(one.received_ms)
            self._known.add((one.gateway, one.seq))
        self._unnumbered = 0

    def packet(self, message: Message) -> int:
        """Return what tells a message from others of the same moment: its packet id, or a number of our own for QoS 0,
        which is never delivered again.
        """
        if message.qos:
            return message.mid
        self._unnumbered -= 1
        return self._unnumbered

    def first_ms(self, message: Message, gateway: str, seq_at: Callable[[int], int]) -> int:
        """Return when a message was first received.

        Parameters
        ----------
        seq_at
            The sequence number that its first reading has if that was at a given time.
        """
        if not message.qos:
            return message.received_ms
        digest = blake2b(message.topic.encode() + b"\0" + message.payload, digest_size=16).digest()
        stamp_ms = message.received_ms
        if message.dup:
            known = self._first.get(message.mid)
            if known is not None and known[0] == digest:
                return known[1]
            stamps = self._stamps.get(gateway, ())
            stamp_ms = next((one for one in stamps if (gateway, seq_at(one)) in self._known), stamp_ms)
        self._first[message.mid] = (digest, stamp_ms)
        return stamp_ms
