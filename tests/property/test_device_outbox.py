"""The outbox against a model, with crashes: a process that dies leaves what was committed, and no more."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from simulators.device import Draft, Outbox, OutboxFull

LIMIT = 12


class OutboxAndModel(RuleBasedStateMachine):
    """The model is a dict of packs, and what was ever attempted."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="outbox"))
        self.file = self.folder / "0.sqlite"
        self.packs: dict[int, int] = {}
        self.attempted: dict[int, int] = {}
        self.acked = 0
        self.outbox = self.open()
        self.boot = self.outbox.boot

    def open(self) -> Outbox:
        return Outbox(self.file, "gw", synchronous="OFF", ledger=True, limit_packs=LIMIT)

    @rule(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
    def append(self, sizes: list[int]) -> None:
        drafts = [Draft("t", 0, list(range(size)), [0] * size, [0.5] * size) for size in sizes]
        first = max(self.attempted, default=0) + 1
        if len(self.packs) + len(sizes) > LIMIT:
            try:
                self.outbox.append(drafts)
            except OutboxFull:
                return
            raise AssertionError("a full outbox took more")
        assert self.outbox.append(drafts) == range(first, first + len(sizes))
        new = dict(enumerate(sizes, start=first))
        self.packs.update(new)
        self.attempted.update(new)

    @rule(seq=st.integers(-1, 40), ours=st.booleans())
    def acknowledge(self, seq: int, ours: bool) -> None:
        left = self.outbox.acknowledge(self.boot if ours else "another", seq)
        if ours and self.acked < seq <= max(self.attempted, default=0):
            assert left == sum(size for number, size in self.packs.items() if number <= seq)
            self.packs = {number: size for number, size in self.packs.items() if number > seq}
            self.acked = seq
        else:
            assert left == 0

    @rule()
    def crash(self) -> None:
        """Copy the files as they lie, as a process that is killed leaves them, and open the copy."""
        after = self.folder / f"{int(self.file.stem) + 1}.sqlite"
        for suffix in ("", "-wal"):
            source = Path(f"{self.file}{suffix}")
            if source.exists():
                shutil.copy(source, f"{after}{suffix}")
        self.outbox.close()
        self.file = after
        self.outbox = self.open()

    @invariant()
    def they_agree(self) -> None:
        assert self.outbox.boot == self.boot
        assert [seq for seq, _ in self.outbox.payloads(0, 100)] == sorted(self.packs)
        counts = self.outbox.counts()
        assert counts.committed_packs == len(self.attempted)
        assert counts.committed_readings == sum(self.attempted.values())
        assert counts.pending_readings == sum(self.packs.values())
        assert counts.acknowledged_packs == self.acked
        assert {seq: size for seq, (size, _) in self.outbox.attempted().items()} == self.attempted

    def teardown(self) -> None:
        self.outbox.close()
        shutil.rmtree(self.folder)


OutboxAndModel.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
TestOutboxAndModel = OutboxAndModel.TestCase
