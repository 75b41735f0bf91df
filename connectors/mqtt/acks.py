"""End-to-end acknowledgements: up to which sequence number all packs of a gateway's boot are in Kafka."""

from collections import OrderedDict
from dataclasses import dataclass, field

MAX_BEYOND = 4096
"""Sequence numbers kept beyond a gap, more than any device's window; bounds memory against invented ones."""

MAX_BOOTS = 100_000
"""Boots remembered, the longest unused forgotten first; bounds memory. A forgotten boot starts at its `oldest_seq`."""

Boot = tuple[str, str, str]
"""Site, gateway, boot id."""


@dataclass(slots=True)
class _Run:
    expected: int
    highest: int
    beyond: set[int] = field(default_factory=set)
    unsent: int = 0
    since_ms: float = 0.0


@dataclass(frozen=True)
class DueAck:
    """An acknowledgement to send: all up to and with `seq` is in Kafka."""

    site: str
    gateway: str
    boot: str
    seq: int


class AckLedger:
    """The gap-free run of each boot.

    Parameters
    ----------
    packs, age_ms
        An acknowledgement is due after so many packs or after so long (wall time), whichever comes first.
    """

    def __init__(self, packs: int, age_ms: float) -> None:
        self._packs = packs
        self._age_ms = age_ms
        self._runs: OrderedDict[Boot, _Run] = OrderedDict()
        self._due: OrderedDict[Boot, _Run] = OrderedDict()
        self._full: dict[Boot, None] = {}

    def seen(self, boot: Boot, seq: int, oldest_seq: int | None) -> int:
        """Note a publish: it starts the run of an unknown boot, or moves it up to what the device says is acknowledged.

        An `oldest_seq` above `seq` contradicts itself and is ignored. Returns how many numbers this publish skipped:
        what the broker lost on the way, or what is still to come.
        """
        if oldest_seq is not None and not 1 <= oldest_seq <= seq:
            oldest_seq = None
        run = self._runs.get(boot)
        if run is None:
            self._runs[boot] = _Run(oldest_seq or seq, highest=seq)
            if len(self._runs) > MAX_BOOTS:
                forgotten, _ = self._runs.popitem(last=False)
                self._due.pop(forgotten, None)
                self._full.pop(forgotten, None)
            return 0
        self._runs.move_to_end(boot)
        skipped = max(0, seq - max(run.highest, (oldest_seq or 1) - 1) - 1)
        run.highest = max(run.highest, seq)
        if oldest_seq is not None and oldest_seq > run.expected:
            run.expected = oldest_seq
            run.beyond = {known for known in run.beyond if known >= oldest_seq}
            self._advance(run)
        return skipped

    def done(self, boot: Boot, seq: int, wall_ms: float) -> None:
        """Note that a pack is in Kafka.

        A copy of an acknowledged pack makes the acknowledgement due again: the gateway did not hear it.
        """
        run = self._runs.get(boot)
        if run is None:
            return
        if seq >= run.expected:
            if len(run.beyond) >= MAX_BEYOND and seq != run.expected:
                return
            run.beyond.add(seq)
            if not self._advance(run):
                return
        if run.unsent == 0:
            run.since_ms = wall_ms
            self._due[boot] = run
        run.unsent += 1
        if run.unsent >= self._packs:
            self._full[boot] = None

    def due(self, wall_ms: float, *, everything: bool = False) -> list[DueAck]:
        """Return the acknowledgements to send now; `everything` does not wait for packs or age."""
        ready = list(self._full)
        for boot, run in self._due.items():
            if not everything and wall_ms - run.since_ms < self._age_ms:
                break  # They lie in the order in which they began to be due.
            ready.append(boot)
        acks = []
        for boot in dict.fromkeys(ready):
            run = self._due.pop(boot)
            run.unsent = 0
            self._full.pop(boot, None)
            acks.append(DueAck(*boot, run.expected - 1))
        return acks

    @staticmethod
    def _advance(run: _Run) -> bool:
        before = run.expected
        while run.expected in run.beyond:
            run.beyond.remove(run.expected)
            run.expected += 1
        return run.expected > before
