"""`python -m connectors.monitor`: the monitor."""

from connectors.kit.service import run_service
from connectors.monitor.service import body

if __name__ == "__main__":
    run_service("monitor", body)
