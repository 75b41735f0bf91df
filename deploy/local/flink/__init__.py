"""The embedded Flink cluster: one job manager and one task manager of PyPI's apache-flink, on loopback."""
