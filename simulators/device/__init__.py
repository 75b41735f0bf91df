"""The device client: an outbox that survives, and publishing until Kafka has it."""
