"""The writer: read, turn into points, write, dead-letter what is bad, commit; in this order, so nothing is skipped."""

import random
import time
from typing import Any

from connectors.influxdb.batch import Batch, Record
from connectors.influxdb.metrics import Metrics
from connectors.influxdb.names import NameBook
from connectors.influxdb.server import Server
from connectors.influxdb.source import Source
from connectors.influxdb.tables import Tables
from connectors.influxdb.writes import Reason, Stopped, WriteError, Writer
from connectors.kit.backoff import Backoff
from connectors.kit.deadletters import deliver
from connectors.kit.kafka import consumer, producer
from connectors.kit.metrics import serve_metrics
from connectors.kit.service import Service
from connectors.wire.topics import ALERT_EVENTS, WINDOW_SUMMARIES

GROUP = "tidemark-influxdb"
RECORDS = 500
"""Records taken at once; their points are written whenever there are `influxdb.batch_points` of them."""

PROBE_SECONDS = 2.0
"""While InfluxDB is down and no record waits, it is asked this often."""


class InfluxWriter:
    """Puts the parts together and runs them."""

    def __init__(self, service: Service) -> None:
        settings = service.settings
        self._stop = service.stop
        self._log = service.log
        self._linger_seconds = settings.influxdb.linger_ms / 1000
        self._batch_points = settings.influxdb.batch_points
        self.metrics = Metrics()
        self._server = Server(settings.influxdb)
        self._source = Source(
            consumer(settings.kafka, GROUP), (ALERT_EVENTS, WINDOW_SUMMARIES), service.log, service.stop.is_set
        )
        self._tables_consumer = consumer(settings.kafka, f"{GROUP}-tables")
        tables = Tables(self._tables_consumer, settings.influxdb.table_wait_ms / 1000, service.stop.is_set)
        self._batch = Batch(NameBook(settings.influxdb.series, tables.find).lookup, service.clock.now_ms)
        self._producer = producer(settings.kafka)
        self._writer = Writer(
            post=self._post,
            wait=self._source.wait,
            backoff=Backoff(0.5, 30.0),
            random=random.random,
            on_failure=self._failed,
            on_success=self._succeeded,
        )
        self._is_down = True
        self._failing: Reason | None = None
        self._next_probe = 0.0

    def is_ready(self) -> bool:
        """Whether InfluxDB takes writes and Kafka gives records."""
        return not self._is_down and self._source.is_assigned

    def run(self) -> None:
        """Work until told to stop."""
        try:
            while not self._stop.is_set():
                records = self._source.read(RECORDS, self._linger_seconds)
                if records:
                    self._handle(records)
                elif self._is_down:
                    self._probe()
        except Stopped:
            self._log.info("stopped in the midst; what was not committed comes again")
        finally:
            self._source.close()
            self._tables_consumer.close()
            self._producer.flush(5)
            self._server.close()

    def _handle(self, records: list[Record]) -> None:
        for record in records:
            self._batch.add(record)
            self.metrics.records.labels(record.topic).inc()
            if len(self._batch.points) >= self._batch_points:
                self._flush()
        self._flush()
        self.metrics.duplicates.inc(self._batch.repeats)
        self._batch.repeats = 0
        self._bury()
        self._source.commit(records)
        for (topic, partition), lag in self._source.lag(records).items():
            self.metrics.lag.labels(topic, str(partition)).set(lag)

    def _probe(self) -> None:
        """Ask by writing nothing, so that readiness doesn't wait for the first alert."""
        if time.monotonic() < self._next_probe:
            return
        self._next_probe = time.monotonic() + PROBE_SECONDS
        try:
            self._server.post("")
        except WriteError as error:
            # An empty body may be refused; who refuses it is there.
            if not error.reason.is_the_points:
                self._failed(error)
                return
        self._succeeded(0)

    def _flush(self) -> None:
        points = self._batch.take_points()
        for start in range(0, len(points), self._batch_points):
            for point, refusal in self._writer.write(points[start : start + self._batch_points]):
                self._batch.refuse(point, refusal)

    def _bury(self) -> None:
        letters = self._batch.take_letters()
        for letter in letters:
            self.metrics.dead.labels(letter.reason).inc(max(1, len(letter.indexes)))
            self._log.warning("dead letter", reason=letter.reason, source=letter.source, detail=letter.detail)
        if letters and not deliver(self._producer, letters, self._stop.is_set):
            raise Stopped

    def _post(self, lines: str) -> None:
        started = time.perf_counter()
        self._server.post(lines)
        self.metrics.write_seconds.observe(time.perf_counter() - started)

    def _failed(self, error: WriteError) -> None:
        self.metrics.failures.labels(error.reason).inc()
        if not error.reason.is_the_points:
            if error.reason != self._failing:
                self._log.warning("InfluxDB takes no writes", reason=error.reason, detail=error.detail)
            self._is_down, self._failing = True, error.reason
            self.metrics.up.set(0)

    def _succeeded(self, points: int) -> None:
        if self._is_down:
            self._log.info("InfluxDB takes writes")
        self._is_down, self._failing = False, None
        self.metrics.points.inc(points)
        self.metrics.up.set(1)


def body(service: Service) -> None:
    """Run the writer as a service."""
    writer = InfluxWriter(service)
    server: Any = serve_metrics(service.settings.influxdb.metrics_port, writer.is_ready, writer.metrics.registry)
    try:
        writer.run()
    finally:
        server.shutdown()
