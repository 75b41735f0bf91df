"""What the bridge counts; plain numbers, so that the core needs no metrics library."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts since the start.

    Attributes
    ----------
    messages
        By kind: packs, series, status, mapped, ignored (by a mapping file), echo, other.
    dead
        Readings by reason; a payload that could not be counted counts in `dead_payloads` alone.
    dead_payloads
        Dead letters by reason.
    skipped
        Sequence numbers of packs that did not come in their turn: the broker lost them, or they come again later.
    kafka_failures
        Deliveries that failed, by what became of them: retried, refused, heartbeat.
    """

    messages: Counter[str] = field(default_factory=Counter)
    bytes_in: int = 0
    readings: int = 0
    records: int = 0
    parts: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    dead_payloads: Counter[str] = field(default_factory=Counter)
    pubacks: int = 0
    acks: int = 0
    heartbeats: int = 0
    redelivered: int = 0
    skipped: int = 0
    kafka_failures: Counter[str] = field(default_factory=Counter)
    connects: int = 0
    sessions_lost: int = 0
    rebuilds: int = 0
