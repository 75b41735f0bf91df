"""Follows the run where its results become visible: a read-committed consumer of alert events and window summaries."""

import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from connectors.kit.clock import ScaledClock
from connectors.kit.kafka import consumer
from connectors.kit.settings import KafkaSettings
from connectors.wire.alert import AlertEvent
from connectors.wire.topics import ALERT_EVENTS, WINDOW_SUMMARIES
from deploy.demo.progress import Progress


class _Position(msgspec.Struct):
    """What the watcher needs of a window summary; the columns are skipped."""

    shard: int
    end_ms: int
    readings: int
    rule_version: int


class Observations:
    """What was seen, and when. Pure: times are given.

    Attributes
    ----------
    first_judged_ms
        Wall time at which the first summary with readings was visible.
    latencies_ms
        One an alert event: wall time from when the clock passed the window's end plus the disorder bound (the earliest
        moment at which the window may be judged) to its visibility.
    """

    def __init__(self, shards: int, disorder_ms: int, progress: Progress) -> None:
        self._ends = dict.fromkeys(range(shards), 0)
        self._disorder_ms = disorder_ms
        self._progress = progress
        self.clock: ScaledClock | None = None
        self.first_judged_ms: float | None = None
        self.latencies_ms: list[float] = []
        self.event_ids: set[str] = set()
        self.judged = 0

    @property
    def judged_to_ms(self) -> int:
        """End of the last window that every shard has judged; 0 before the first."""
        return min(self._ends.values())

    def summary(self, position: _Position, wall_ms: float) -> None:
        """Take a summary that became visible at `wall_ms`."""
        if position.readings and self.first_judged_ms is None:
            self.first_judged_ms = wall_ms
        self.judged += position.readings
        self._ends[position.shard] = max(self._ends[position.shard], position.end_ms)
        self._progress.update(judged=self.judged, judged_to_ms=self.judged_to_ms)

    def alert(self, event: AlertEvent, wall_ms: float) -> None:
        """Take an alert event that became visible at `wall_ms`."""
        if event.event_id in self.event_ids:
            return
        self.event_ids.add(event.event_id)
        if self.clock is not None and event.gateway:
            due_ms = self.clock.wall_ms(event.window_end_ms + self._disorder_ms)
            self.latencies_ms.append(wall_ms - due_ms)
        self._progress.alert(event)


class Watcher:
    """A thread that feeds `Observations` from Kafka until it is stopped."""

    def __init__(self, kafka: KafkaSettings, observations: Observations) -> None:
        self._kafka = kafka
        self._seen = observations
        self._stop = threading.Event()
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin; the topics exist by now."""
        self._thread.start()

    def stop(self) -> None:
        """End and wait for the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # the main thread raises it
            self.error = error

    def _follow(self) -> None:
        from confluent_kafka import TopicPartition

        reader = consumer(self._kafka, "tidemark-demo-watch", fetch_wait_max_ms=50)
        try:
            known = reader.list_topics(timeout=10).topics
            names = (ALERT_EVENTS, WINDOW_SUMMARIES)
            reader.assign([TopicPartition(name, number, 0) for name in names for number in known[name].partitions])
            takers: dict[str, Callable[[bytes, float], None]] = {
                ALERT_EVENTS: self._alert,
                WINDOW_SUMMARIES: self._summary,
            }
            while not self._stop.is_set():
                for message in reader.consume(num_messages=500, timeout=0.05):
                    self._take(message, takers)
        finally:
            reader.close()

    @staticmethod
    def _take(message: Any, takers: dict[str, Callable[[bytes, float], None]]) -> None:
        from confluent_kafka import KafkaException

        error = message.error()
        if error is None:
            takers[message.topic()](message.value(), time.time() * 1000)
        elif not error.retriable():
            raise KafkaException(error)

    def _alert(self, value: bytes, wall_ms: float) -> None:
        self._seen.alert(msgspec.json.decode(value, type=AlertEvent), wall_ms)

    def _summary(self, value: bytes, wall_ms: float) -> None:
        self._seen.summary(_POSITION.decode(value), wall_ms)


_POSITION = msgspec.msgpack.Decoder(_Position)
