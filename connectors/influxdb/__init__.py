"""Kafka → InfluxDB: alert events and window summaries as points that a replay overwrites and never doubles."""
