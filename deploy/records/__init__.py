"""Kafka records for people and programs: chosen by filters, shown as text, JSON or CSV. All pure but reading."""
