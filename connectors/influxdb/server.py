"""InfluxDB through influxdb-client: 2.x by token, organisation and bucket, 1.8 by its compatible API."""

from typing import Any

import urllib3
from influxdb_client import InfluxDBClient
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from connectors.influxdb.writes import Reason, WriteError, reason_of
from connectors.kit.settings import InfluxSettings

CONNECT_TIMEOUT_MS = 3_000
"""A host that drops packets would else hold a write for minutes."""

DETAIL_LENGTH = 500
"""An error names the whole line; a log needs its beginning."""


class Server:
    """One InfluxDB, one bucket."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._client = InfluxDBClient(
            url=settings.url,
            token=settings.secret(),
            org=settings.organisation,
            timeout=(CONNECT_TIMEOUT_MS, settings.timeout_ms),
        )
        # Synchronous: the batching mode retries in the background and drops what it could not write.
        self._write_api = self._client.write_api(write_options=SYNCHRONOUS)
        self._organisation = settings.organisation
        self._bucket = settings.bucket

    def post(self, lines: str) -> None:
        """Write lines of line protocol with times in nanoseconds.

        Raises
        ------
        WriteError
        """
        try:
            self._write_api.write(
                bucket=self._bucket, org=self._organisation, record=lines.encode(), write_precision="ns"
            )
        except ApiException as error:
            raise _answered(error) from error
        except InfluxDBError as error:
            raise WriteError(Reason.UNEXPECTED, str(error)[:DETAIL_LENGTH]) from error
        except urllib3.exceptions.TimeoutError as error:
            raise WriteError(Reason.TIMEOUT, str(error)[:DETAIL_LENGTH]) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise WriteError(Reason.UNREACHABLE, str(error)[:DETAIL_LENGTH]) from error

    def close(self) -> None:
        """Close the connections."""
        self._write_api.close()
        self._client.close()


def _answered(error: ApiException) -> WriteError:
    body: Any = error.body or error.reason or ""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    after = str(error.retry_after or "")
    seconds = float(after) if after.isdecimal() else 0.0
    return WriteError(reason_of(int(error.status or 0)), f"HTTP {error.status}: {text}"[:DETAIL_LENGTH], seconds)
