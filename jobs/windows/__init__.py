"""One step of a shard's window: decode, drop duplicates, features, detectors, alerts, summary. No Flink."""
