"""What services share: settings, clock, the Kafka port, metrics, logs, and the life of a service."""
