"""Dead letters of the bridge: the payload's bytes, and why."""

from connectors.mqtt.check import DeadReadings, Refused
from connectors.mqtt.messages import Flight, Send
from connectors.wire.ledger import DeadLetter, DeadReason
from connectors.wire.topics import DEAD_LETTERS
from connectors.wire.versions import to_msgpack

SERVICE = "bridge"


def refused_letter(flight: Flight, refused: Refused, payload_bytes: int) -> Send:
    """Return the letter of a payload that is dead as a whole.

    Parameters
    ----------
    payload_bytes
        Of a payload larger than the bridge takes, so many bytes are kept: Kafka would refuse the letter too.
    """
    payload = flight.message.payload
    detail = refused.detail
    if len(payload) > payload_bytes:
        detail = f"{detail} (the first {payload_bytes} of {len(payload)} bytes are kept)"
        payload = payload[:payload_bytes]
    identity = (refused.boot, refused.seq)
    return _letter(flight, refused.reason, detail, payload, identity=identity, indexes=[], readings=refused.readings)


def readings_letter(flight: Flight, dead: DeadReadings, detail: str = "") -> Send:
    """Return the letter of some readings of a pack; the others passed."""
    identity, count = (flight.boot, flight.seq), len(dead.indexes)
    detail = detail or f"{count} readings of the pack"
    payload = flight.message.payload
    return _letter(flight, dead.reason, detail, payload, identity=identity, indexes=dead.indexes, readings=count)


def _letter(
    flight: Flight,
    reason: DeadReason,
    detail: str,
    payload: bytes,
    *,
    identity: tuple[str, int],
    indexes: list[int],
    readings: int,
) -> Send:
    letter = DeadLetter(
        service=SERVICE,
        reason=reason,
        detail=detail,
        source=flight.message.topic[:400],
        received_ms=flight.message.received_ms,
        payload=payload,
        gateway=flight.gateway,
        boot=identity[0],
        seq=identity[1],
        indexes=indexes,
        readings=readings,
    )
    key = flight.gateway.encode() or None
    return Send(DEAD_LETTERS, to_msgpack(letter), key=key, flights=(flight,))
