"""What the writer counts."""

from prometheus_client import Counter, Gauge, Histogram

from connectors.kit.metrics import new_registry


class Metrics:
    """The writer's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = new_registry()
        self.records = Counter("tidemark_influxdb_records", "Kafka records taken.", ["topic"], registry=self.registry)
        self.points = Counter("tidemark_influxdb_points", "Points written.", registry=self.registry)
        self.duplicates = Counter(
            "tidemark_influxdb_duplicates", "Alert events dropped as repeats.", registry=self.registry
        )
        self.failures = Counter(
            "tidemark_influxdb_write_failures", "Writes that failed.", ["reason"], registry=self.registry
        )
        self.dead = Counter("tidemark_influxdb_dead", "Points dead-lettered.", ["reason"], registry=self.registry)
        self.write_seconds = Histogram(
            "tidemark_influxdb_write_seconds", "Time of one write to InfluxDB.", registry=self.registry
        )
        self.lag = Gauge(
            "tidemark_influxdb_lag_records",
            "Records after the committed offset.",
            ["topic", "partition"],
            registry=self.registry,
        )
        self.up = Gauge("tidemark_influxdb_up", "1 while InfluxDB takes writes.", registry=self.registry)
