"""`python -m connectors.influxdb`: the InfluxDB writer."""

from connectors.influxdb.service import body
from connectors.kit.service import run_service

if __name__ == "__main__":
    run_service("influxdb-writer", body)
