"""Recorded payloads of `tests/data/payloads`, as if they had just been heard."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from connectors.mapping.discover.heard import Heard

FOLDER = Path(__file__).parents[1] / "data" / "payloads"
NOW_MS = 1_709_645_412_000
"""2024-03-05T13:30:12Z: two seconds after the recordings."""


@dataclass(frozen=True)
class Recorded:
    """One message."""

    topic: str
    payload: bytes
    retained: bool


def recorded(name: str) -> Iterator[Recorded]:
    """Yield the messages of a family."""
    for line in (FOLDER / f"{name}.jsonl").read_text().splitlines():
        entry = json.loads(line)
        payload = base64.b64decode(entry["base64"]) if "base64" in entry else entry["payload"].encode()
        yield Recorded(entry["topic"], payload, entry.get("retained", False))


def heard(*names: str) -> Heard:
    """Return what a listener would have heard."""
    made = Heard()
    for name in names:
        for one in recorded(name):
            made.add(one.topic, one.payload, NOW_MS, one.retained)
    return made
