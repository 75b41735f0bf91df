"""A load of real device clients on every shard, and the checks that must hold once it is over."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.books.close import Books
from simulators.device.sender import SendLimits
from tests.support.fleet import LIMITS, Fleet, fleet, names_on_all_shards
from tests.support.observe import wait_until
from tests.support.pipeline import DISORDER_MS, SHARDS, Pipeline, Sent

WINDOWS = 6


@contextmanager
def load(
    pipeline: Pipeline, outboxes: Path, name: str, windows: int = WINDOWS, ack_timeout_ms: int = 0
) -> Iterator[Fleet]:
    """Run a gateway on each shard."""
    names = names_on_all_shards(name, SHARDS)
    limits = LIMITS if not ack_timeout_ms else SendLimits(ack_timeout_ms=ack_timeout_ms)
    pipeline.stack.wait_healthy("bridge")
    with fleet(pipeline.settings, outboxes, names, pipeline.next_start_ms(), windows, limits=limits) as one:
        yield one


def sent_by(one: Fleet) -> Mapping[str, Sent]:
    """Return what a fleet committed and what the bridge acknowledged to it."""
    return {
        gateway: Sent(one.packs[gateway], [one.data[gateway].table], {one.boot(gateway): one.acked(gateway)})
        for gateway in one.gateways
    }


def wait_packs(one: Fleet, share: float) -> None:
    """Return when such a share of a fleet's packs is acknowledged: faults come by events, not by the clock."""
    total = len(one.gateways) * one.windows * one.packs_per_window
    wait_until(lambda: one.acked_packs() >= share * total, 30, f"{share:.0%} of all packs", one.describe, step_s=0.01)


def with_short_outage(pipeline: Pipeline, outboxes: Path, name: str, fault: Callable[[Fleet], None]) -> Fleet:
    """Run a load with a fault that is over within the disorder bound, and check that nothing shows of it.

    A busy machine may need longer to restart what was killed. Then no more is promised than that the books close; that
    is checked, and the fault tried again.
    """
    limit_s = DISORDER_MS / 1000 - LIMITS.ack_timeout_ms / 1000
    for attempt in range(3):
        with load(pipeline, outboxes, f"{name}{attempt}") as one:
            wait_packs(one, 0.3)
            began = time.monotonic()
            fault(one)
            outage_s = time.monotonic() - began
            if outage_s < limit_s:
                settle(pipeline, one)
                return one
            settle_after_long_outage(pipeline, one)
    pytest.skip(
        f"no outage was shorter than {limit_s:g} s in 3 attempts, each of which closed its books: a busy machine"
    )


def settle_after_long_outage(pipeline: Pipeline, one: Fleet) -> Books:
    """Wait until all is judged or late, and check that nothing else became of any reading."""
    one.wait_produced()
    one.wait_acknowledged()
    pipeline.wait_judged(one.end_ms)
    sent = sent_by(one)
    wait_until(lambda: not pipeline.books(sent).not_judged, 20, "all readings to be judged or late", step_s=0.5)
    books = pipeline.books(sent)
    assert not books.violations, books
    assert books.lost == 0, books
    assert books.sent == books.received == books.judged + books.late, books
    return books


def settle(pipeline: Pipeline, one: Fleet) -> Books:
    """Wait until all is judged, check the alerts against a fault-free run, and return the books."""
    one.wait_produced()
    one.wait_acknowledged()
    pipeline.wait_judged(one.end_ms)
    sent = sent_by(one)
    books = pipeline.books(sent)
    assert not books.violations, books
    assert (books.lost, books.late, books.in_outboxes) == (0, 0, 0), books
    assert books.sent == books.received == books.judged, books
    assert sum(pipeline.check_alerts(gateway, sent[gateway]) for gateway in one.gateways) > len(one.gateways)
    return books
