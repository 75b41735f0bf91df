"""The parts of the embedded stack, one file a kind: how each is configured, started, checked and stopped."""

from connectors.kit.settings import Settings
from deploy.local.layout import Layout
from deploy.local.part import Part
from deploy.local.programs.flink import flink_parts
from deploy.local.programs.influxdb import influxd_part
from deploy.local.programs.kafka import kafka_part
from deploy.local.programs.mosquitto import mosquitto_part
from deploy.local.programs.services import service_parts

ALIASES = {"flink": ("jobmanager", "taskmanager")}


def all_parts(settings: Settings, layout: Layout) -> dict[str, Part]:
    """Return every part by name, as these (effective) settings want it. Touches nothing."""
    parts = [
        mosquitto_part(settings, layout),
        kafka_part(settings, layout),
        influxd_part(settings, layout),
        *flink_parts(settings, layout),
        *service_parts(settings, layout),
    ]
    return {part.name: part for part in parts}


def spell_out(names: list[str]) -> list[str]:
    """Replace short names by the parts they stand for.

    >>> spell_out(["kafka", "flink"])
    ['kafka', 'jobmanager', 'taskmanager']
    """
    return [part for name in names for part in ALIASES.get(name, (name,))]
