"""What InfluxDB holds, asked in Flux through its own client."""

from influxdb_client import InfluxDBClient

from connectors.kit.settings import InfluxSettings


class InfluxView:
    """Reads the points of alerts and windows."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._bucket = settings.bucket
        self._client = InfluxDBClient(settings.url, settings.secret(), org=settings.organisation, timeout=20_000)

    def event_ids(self, gateway: str | None = None) -> list[str]:
        """Return the event ids of all points of alerts, in order; as often as they are there."""
        only = "" if gateway is None else f'|> filter(fn: (r) => r.gateway == "{gateway}")'
        query = f"""from(bucket: "{self._bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z)
            |> filter(fn: (r) => r._measurement == "alerts" and r._field == "event_id") {only}
            |> group() |> keep(columns: ["_value"])"""
        return sorted(
            str(record.get_value()) for table in self._client.query_api().query(query) for record in table.records
        )

    def windows(self, gateway: str) -> int:
        """Return how many points of windows a gateway has."""
        query = f"""from(bucket: "{self._bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z)
            |> filter(fn: (r) => r._measurement == "windows" and r._field == "count" and r.gateway == "{gateway}")
            |> group() |> count()"""
        return sum(
            int(record.get_value()) for table in self._client.query_api().query(query) for record in table.records
        )
