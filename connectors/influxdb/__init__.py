"""The InfluxDB writer: alert events and window summaries become points."""
