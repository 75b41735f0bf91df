"""`python -m connectors.notifier`: the notifier."""

from connectors.kit.service import run_service
from connectors.notifier.service import body

if __name__ == "__main__":
    run_service("notifier", body)
