"""`python -m connectors.mqtt`: the bridge."""

from connectors.kit.service import run_service
from connectors.mqtt.service import bridge

if __name__ == "__main__":
    run_service("bridge", bridge)
