"""The event ids that InfluxDB holds."""

from connectors.kit.settings import InfluxSettings
from deploy.books.keys import BooksError

_TIMEOUT_MS = 30_000
"""A query over years of alerts; longer means a server that doesn't answer."""


def influx_event_ids(settings: InfluxSettings) -> list[str]:
    """Return the ids of all alert events.

    Raises
    ------
    BooksError
        If InfluxDB can't be asked.
    """
    from influxdb_client import InfluxDBClient
    from influxdb_client.client.exceptions import InfluxDBError
    from influxdb_client.rest import ApiException
    from urllib3.exceptions import HTTPError

    query = f"""
        from(bucket: {_quoted(settings.bucket)})
        |> range(start: 0, stop: 2100-01-01T00:00:00Z)
        |> filter(fn: (r) => r._measurement == "alerts" and r._field == "event_id")
        |> keep(columns: ["_value"])
    """
    try:
        with InfluxDBClient(
            url=settings.url, token=settings.secret(), org=settings.organisation, timeout=_TIMEOUT_MS
        ) as client:
            tables = client.query_api().query(query)
    except (InfluxDBError, ApiException, HTTPError, OSError) as error:
        raise BooksError(f"InfluxDB at {settings.url}: {error}") from error
    return [str(record.get_value()) for table in tables for record in table.records]


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
