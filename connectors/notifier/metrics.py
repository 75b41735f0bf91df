"""What the notifier counts."""

from prometheus_client import Counter, Gauge, Histogram

from connectors.kit.metrics import new_registry


class Metrics:
    """The notifier's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = new_registry()
        self.events = Counter("tidemark_notifier_events", "Alert events taken in.", registry=self.registry)
        self.repeats = Counter(
            "tidemark_notifier_repeats", "Notifications that were in the outbox already.", registry=self.registry
        )
        self.unreadable = Counter(
            "tidemark_notifier_unreadable", "Records dead-lettered.", ["reason"], registry=self.registry
        )
        self.created = Counter(
            "tidemark_notifier_notifications", "Notifications made.", ["subscription"], registry=self.registry
        )
        self.attempts = Counter(
            "tidemark_notifier_attempts",
            "Attempts to deliver.",
            ["subscription", "channel", "outcome"],
            registry=self.registry,
        )
        self.ended = Counter(
            "tidemark_notifier_ended",
            "Notifications delivered or dead.",
            ["subscription", "state"],
            registry=self.registry,
        )
        self.pending = Gauge(
            "tidemark_notifier_pending", "Notifications to be delivered.", ["subscription"], registry=self.registry
        )
        self.dead = Gauge("tidemark_notifier_dead", "Dead notifications.", ["subscription"], registry=self.registry)
        self.attempt_seconds = Histogram(
            "tidemark_notifier_attempt_seconds", "Time of one attempt.", ["subscription"], registry=self.registry
        )
        self.delivery_seconds = Histogram(
            "tidemark_notifier_delivery_seconds", "From taking an event in to its delivery.", registry=self.registry
        )
        self.lag = Gauge(
            "tidemark_notifier_lag_records", "Alert events not taken in.", ["partition"], registry=self.registry
        )
