"""Kafka → subscribers: alert events become rows of an outbox, and each channel delivers its own at least once."""
