"""What goes into the bridge's core and what comes out of it: plain values, no sockets."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message as it came.

    Attributes
    ----------
    generation
        Which connection delivered it; `mid` means something on that connection alone.
    mid, qos
        MQTT packet id and quality of service.
    properties
        MQTT 5 user properties, unchecked.
    received_ms
        Injected clock at its arrival.
    dup
        Whether the broker says that it may have delivered it before.
    """

    topic: str
    payload: bytes
    received_ms: int
    generation: int = 0
    mid: int = 0
    qos: int = 1
    retained: bool = False
    dup: bool = False
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Entry:
    """One MQTT message's place in the line of what was received.

    Attributes
    ----------
    echo_ms
        For the bridge's own echo, when it was published; None for everything else.
    """

    generation: int
    mid: int
    qos: int
    echo_ms: int | None = None
    done: bool = False


@dataclass(slots=True, eq=False)
class Flight:
    """A message on its way into Kafka; it is done when every record it is part of was delivered.

    Attributes
    ----------
    entries
        The MQTT messages that wait for it: more than one when a connection broke and the broker sent it again.
    pending
        Records not yet delivered.
    sealed
        Whether all of its records are counted in `pending`.
    key
        What it is known by while it is on its way: site, gateway, boot and sequence number of a pack; "", topic, "" and
        packet id of a mapped message, which has none.
    """

    message: Message
    site: str
    gateway: str
    entries: list[Entry]
    boot: str = ""
    seq: int = 0
    pending: int = 0
    sealed: bool = False
    key: tuple[str, str, str, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Send:
    """Write a record to Kafka, and report it to the core by `delivered` or `refused`.

    Attributes
    ----------
    partition
        None lets the producer choose by the key.
    timestamp_ms
        None lets the broker or the producer stamp it.
    """

    topic: str
    value: bytes
    key: bytes | None = None
    partition: int | None = None
    timestamp_ms: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    flights: tuple[Flight, ...] = ()


@dataclass(frozen=True, slots=True)
class Puback:
    """Acknowledge an MQTT message, if its connection still stands."""

    generation: int
    mid: int


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish an MQTT message with QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


Effect = Send | Puback | Publish
