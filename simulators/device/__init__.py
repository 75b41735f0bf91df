"""The device client: what a gateway runs. It needs the standard library, msgspec and paho, so a Raspberry Pi runs it.

Readings are committed to an outbox on disk before anything is sent, and leave it only when the bridge says that they
are in Kafka. MQTT's own acknowledgement says that a broker's memory holds them, which a crash forgets.
"""

from simulators.device.device import Device, DeviceOptions, DeviceStats
from simulators.device.draft import Draft, PackTooLarge
from simulators.device.link import Broker
from simulators.device.loop import DeviceLoop
from simulators.device.outbox import Outbox, OutboxError, OutboxFull

__all__ = [
    "Broker",
    "Device",
    "DeviceLoop",
    "DeviceOptions",
    "DeviceStats",
    "Draft",
    "Outbox",
    "OutboxError",
    "OutboxFull",
    "PackTooLarge",
]
