"""Readings of devices that speak a form of their own: the identity that the bridge gives them.

A gateway of ours numbers its packs. A foreign device numbers nothing, so each of its readings becomes a pack of one
whose sequence number is a hash of what the reading is. The same reading always gets the same number, whoever makes it
and whenever; so a message that the broker delivers again is a copy by the rule that holds for all packs, (gateway,
boot, seq, cell), and nothing has to be remembered.
"""

import struct
from hashlib import blake2b

import msgspec

MAPPED_BOOT = "~mapped"
"""Boot id of all mapped readings; the tilde can't stand in a gateway's own."""

SEQ_BITS = 48
"""Of the hash: among 10,000 readings of one gateway and cell, two would meet once in five million cells."""

_VALUE = struct.Struct("<d")
_encode = msgspec.msgpack.Encoder().encode


def mapped_seq(device: str, quantity: str, time_ms: int, value: float, ticket: tuple[int, int] | None = None) -> int:
    """Return the sequence number of a mapped reading, at least 1 and below 2⁴⁸.

    Parameters
    ----------
    time_ms
        Event time.
    value
        As it is written to Kafka, finite.
    ticket
        For a reading without a time of its own: MQTT packet id, and place in the message. Its event time is that of
        the receipt, which two messages of a burst may share, so time and value don't tell them apart.

    >>> first = mapped_seq("press-3", "temperature", 1_700_000_000_000, 21.5)
    >>> first == mapped_seq("press-3", "temperature", 1_700_000_000_000, 21.5)
    True
    >>> first == mapped_seq("press-3", "temperature", 1_700_000_000_000, 21.6)
    False
    """
    # Adding 0.0 makes -0.0 and 0.0, which are equal, the same bytes.
    said = _encode((device, quantity, time_ms, _VALUE.pack(value + 0.0), ticket))
    return int.from_bytes(blake2b(said, digest_size=SEQ_BITS // 8).digest(), "big") or 1
