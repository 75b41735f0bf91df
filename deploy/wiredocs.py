"""Writes `docs/schemas/*.json` and `docs/asyncapi.json` from the wire's classes: `python -m deploy.wiredocs`."""

import json
from pathlib import Path
from typing import Any

import msgspec

from connectors.wire.alert import AlertEvent
from connectors.wire.ledger import DeadLetter, LateReadings
from connectors.wire.pack import OLDEST_SEQ, SENT_MS, Ack, Pack, Status
from connectors.wire.record import Heartbeat, Readings
from connectors.wire.ruleset import RuleSet
from connectors.wire.series import SeriesTable
from connectors.wire.summary import WindowSummary
from connectors.wire.topics import (
    ALERT_EVENTS,
    DEAD_LETTERS,
    GATEWAY_STATUS,
    KAFKA_TOPICS,
    LATE_READINGS,
    READINGS,
    ROOT,
    RULES,
    SERIES_TABLES,
    WINDOW_SUMMARIES,
)

EVENTS: tuple[type[msgspec.Struct], ...] = (
    Pack,
    SeriesTable,
    Status,
    Ack,
    Readings,
    Heartbeat,
    LateReadings,
    DeadLetter,
    WindowSummary,
    AlertEvent,
    RuleSet,
)

MQTT_CHANNELS: dict[str, tuple[str, type[msgspec.Struct], str]] = {
    "packs": ("packs", Pack, "receive"),
    "series": ("series/{table}", SeriesTable, "receive"),
    "status": ("status", Status, "receive"),
    "ack": ("ack", Ack, "send"),
}

KAFKA_CHANNELS: dict[str, tuple[type[msgspec.Struct], ...]] = {
    READINGS: (Readings, Heartbeat),
    LATE_READINGS: (LateReadings,),
    DEAD_LETTERS: (DeadLetter,),
    SERIES_TABLES: (SeriesTable,),
    GATEWAY_STATUS: (Status,),
    WINDOW_SUMMARIES: (WindowSummary,),
    ALERT_EVENTS: (AlertEvent,),
    RULES: (RuleSet,),
}

JSON_EVENTS = (SeriesTable, Status, Ack, AlertEvent, RuleSet, Pack)


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema (2020-12) of each event, by class name; bytes are Base64 text there."""
    schemas = {}
    for event in EVENTS:
        body, definitions = msgspec.json.schema_components([event], ref_template="#/$defs/{name}")
        schemas[event.__name__] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": f"{event.__name__} version {event.VERSION}",  # type: ignore[attr-defined]
            **body[0],
            "$defs": definitions,
        }
    return schemas


def _message(event: type[msgspec.Struct]) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": event.__name__,
        "summary": (event.__doc__ or "").strip().split("\n")[0],
        "contentType": "application/json" if event in JSON_EVENTS else "application/vnd.msgpack",
        "payload": {"$ref": f"./schemas/{event.__name__}.json"},
    }
    if event is Pack:
        properties = {name: {"type": "string"} for name in (SENT_MS, OLDEST_SEQ)}
        message["headers"] = {"type": "object", "properties": properties}
    if event is AlertEvent:
        names = ("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time")
        message["headers"] = {
            "type": "object",
            "required": list(names),
            "properties": {name: {"type": "string"} for name in names},
        }
    return message


def _mqtt(document: dict[str, Any]) -> None:
    for name, (rest, event, action) in MQTT_CHANNELS.items():
        parameters: dict[str, Any] = {"site": {}, "gateway": {}} | ({"table": {}} if "{table}" in rest else {})
        document["channels"][f"mqtt.{name}"] = {
            "address": f"{ROOT}/{{site}}/{{gateway}}/{rest}",
            "servers": [{"$ref": "#/servers/mqtt"}],
            "parameters": parameters,
            "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"}},
            "bindings": {"mqtt": {}},
        }
        document["operations"][f"{action}.mqtt.{name}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/mqtt.{name}"},
            "bindings": {"mqtt": {"qos": 1, "retain": name != "packs"}},
        }


def _kafka(document: dict[str, Any]) -> None:
    for topic in KAFKA_TOPICS:
        events = KAFKA_CHANNELS[topic.name]
        document["channels"][topic.name] = {
            "address": topic.name,
            "description": topic.holds,
            "servers": [{"$ref": "#/servers/kafka"}],
            "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"} for event in events},
        }
        document["operations"][f"send.{topic.name}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{topic.name}"},
        }


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0.0 document of every channel."""
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tidemark",
            "version": "1",
            "description": "What gateways say over MQTT and what services append to Kafka.",
            "license": {"name": "Apache-2.0"},
        },
        "servers": {
            "mqtt": {"host": "127.0.0.1:18830", "protocol": "mqtt", "protocolVersion": "5"},
            "kafka": {"host": "127.0.0.1:19092", "protocol": "kafka"},
        },
        "channels": {},
        "operations": {},
        "components": {"messages": {event.__name__: _message(event) for event in EVENTS}},
    }
    _mqtt(document)
    _kafka(document)
    return document


def documents() -> dict[str, str]:
    """Return every generated file: its path below `docs/` and its text."""
    files = {f"schemas/{name}.json": schema for name, schema in json_schemas().items()}
    files["asyncapi.json"] = asyncapi()
    return {path: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for path, content in files.items()}


def main(root: Path = Path("docs")) -> None:
    """Write the files."""
    for path, text in documents().items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


if __name__ == "__main__":
    main()
