"""Heartbeats: how far event time has come, in every partition, as far as the bridge can vouch for it.

A heartbeat of a cell says: the bridge was at work then, and all that the broker took before is in Kafka. How far that
is true is found by an echo, a message the bridge publishes to itself: it comes back behind everything the broker took
before it, so when the line of received messages has passed it, nothing older is left on the way. The bridge's clock
alone would run ahead of a broker's queue after an outage, and of a connection that is dead but not yet found so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_CELLS = 10_000
"""Heartbeats a partition is given at once; bounds what a clock that jumps by years can set off."""


@dataclass(frozen=True)
class Past:
    """What Kafka holds from before this start.

    Attributes
    ----------
    stamped
        Partition → time of the newest heartbeat.
    newest
        Partition → newest record stamp.
    """

    stamped: Mapping[int, int] = field(default_factory=dict)
    newest: Mapping[int, int] = field(default_factory=dict)


class Heartbeats:
    """Which heartbeats to write.

    After a (re)connect there is a grace time, in which gateways come back. A heartbeat then follows the readings of its
    partition and never leads them, so it moves no watermark. If the outage was no longer than the disorder bound, no
    window was judged without its readings, and the cells that it covered are stamped too, as if nothing had been. After
    a longer one no cell is stamped until the grace is over: they stay unobserved.

    Parameters
    ----------
    shards
        Partitions.
    grid_ms, disorder_ms
        Event time.
    grace_ms
        Wall time.
    last_ms
        No heartbeat is stamped later; the last one is stamped exactly so. None: no end.
    past
        From before this start.
    """

    def __init__(
        self,
        shards: int,
        *,
        grid_ms: int,
        disorder_ms: int,
        grace_ms: float,
        last_ms: int | None = None,
        past: Past | None = None,
    ) -> None:
        past = past or Past()
        self._grid_ms = grid_ms
        self._disorder_ms = disorder_ms
        self._grace_ms = grace_ms
        self._last_ms = last_ms
        self._newest: list[int | None] = [past.newest.get(shard) for shard in range(shards)]
        alive = max(past.stamped.values(), default=None)
        self._stamped: list[int | None] = [past.stamped.get(shard, alive) for shard in range(shards)]
        self._down_ms = None if alive is None else alive + grid_ms
        self._limit_ms: int | None = None
        self._asked_ms: int | None = None
        self._connected = False
        self._quiet_until_ms = float("-inf")
        self._follow = False

    def connected(self, now_ms: int, wall_ms: float) -> None:
        """Note a connection; a grace time begins."""
        back_for_good = self._follow or wall_ms >= self._quiet_until_ms
        short = self._down_ms is not None and now_ms - self._down_ms <= self._disorder_ms
        self._connected = True
        self._asked_ms = None
        self._quiet_until_ms = wall_ms + self._grace_ms
        self._follow = short and back_for_good
        if not self._follow:
            self._skip_to(now_ms)

    def disconnected(self, now_ms: int) -> None:
        """Note that the connection is gone."""
        if self._connected:
            self._connected = False
            self._down_ms = now_ms

    def wrote(self, shard: int, stamp_ms: int) -> None:
        """Note the stamp of a record of readings."""
        newest = self._newest[shard]
        if newest is None or stamp_ms > newest:
            self._newest[shard] = stamp_ms

    def newest(self, shard: int) -> int | None:
        """Return the newest stamp in a partition, heartbeats included; None if it is not known."""
        return self._newest[shard]

    def wants_echo(self, now_ms: int) -> bool:
        """Whether the clock entered a cell (or passed the end) that no echo vouches for; asking takes note."""
        if not self._connected:
            return False
        due = self._due(now_ms)
        if self._asked_ms is not None and due <= self._asked_ms:
            return False
        self._asked_ms = due
        return True

    def echoed(self, published_ms: int) -> None:
        """Note that all the broker took before `published_ms` is in Kafka."""
        if self._limit_ms is None or published_ms > self._limit_ms:
            self._limit_ms = published_ms

    def due(self, now_ms: int) -> bool:
        """Whether an echo vouches for a cell that some partition has no heartbeat of."""
        if self._limit_ms is None or not self._connected:
            return False
        until = self._due(min(self._limit_ms, now_ms))
        return any(stamped is None or stamped < until for stamped in self._stamped)

    def take(self, now_ms: int, wall_ms: float) -> list[tuple[int, int]]:
        """Return the heartbeats to write now, as (partition, time), oldest first in each partition."""
        if not self._connected:
            return []
        quiet = wall_ms < self._quiet_until_ms
        if quiet and not self._follow:
            self._skip_to(now_ms)
            return []
        if self._limit_ms is None:
            return []
        limit = min(self._limit_ms, now_ms)
        return [beat for shard in range(len(self._stamped)) for beat in self._of(shard, limit, quiet=quiet)]

    def _of(self, shard: int, limit_ms: int, *, quiet: bool) -> list[tuple[int, int]]:
        newest = self._newest[shard]
        if quiet:
            if newest is None:
                return []
            limit_ms = min(limit_ms, newest)
        stamped = self._stamped[shard]
        until = self._due(limit_ms)
        if stamped is None or until <= stamped:
            self._stamped[shard] = until if stamped is None else stamped
            return []
        first = max(stamped // self._grid_ms + 1, until // self._grid_ms - MAX_CELLS) * self._grid_ms
        times = list(range(first, until + 1, self._grid_ms))
        if until == self._last_ms and until % self._grid_ms:
            times.append(until)
        self._stamped[shard] = until
        if times:
            self._newest[shard] = times[-1] if newest is None else max(newest, times[-1])
        return [(shard, time) for time in times]

    def _due(self, time_ms: int) -> int:
        """Return the newest time not after `time_ms` that a heartbeat may carry."""
        if self._last_ms is not None and time_ms >= self._last_ms:
            return self._last_ms
        return time_ms // self._grid_ms * self._grid_ms

    def _skip_to(self, now_ms: int) -> None:
        here = self._due(now_ms)
        self._stamped = [here if stamped is None else max(stamped, here) for stamped in self._stamped]
