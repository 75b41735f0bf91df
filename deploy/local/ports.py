"""Ports: which the settings name, whether they are free, and settings on free ones for tests and the demo."""

from connectors.kit.settings import Settings


def on_free_ports(settings: Settings) -> Settings:
    """Return the settings with every port of the embedded stack replaced by a free one on loopback."""
    raise NotImplementedError
