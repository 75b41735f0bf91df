"""A mapping file's text, with what the user should check beside each mapping."""

from collections.abc import Sequence
from typing import Any

from connectors.mapping.discover.propose import Proposal

_HEAD = """\
# Proposed by tidemark discover from what was heard. Check names and units (they are guessed where the messages name
# none), take out what you don't want, then name this file in the settings: mqtt.mappings_file
version: 1
"""


def file_text(site: str, proposals: Sequence[Proposal], ignore: Sequence[str]) -> str:
    """Return the file."""
    lines = [f"site: {_flow(site)}"]
    if ignore:
        lines += ["# Templates below fit these topics, but no mapping can read them.", "ignore:"]
        lines += [f"  - {_flow(topic)}" for topic in ignore]
    lines.append("mappings:")
    for one in proposals:
        lines += _mapping(one)
    return _HEAD + "\n".join(lines) + "\n"


def _mapping(one: Proposal) -> list[str]:
    heard = ", ".join(topic.topic for topic in one.group.topics[:3]) + (", …" if len(one.group.topics) > 3 else "")
    lines = [f"  # Heard: {_one_line(heard)}"]
    lines += [f"  # Note: {_one_line(note)}" for note in one.notes]
    for place, (key, value) in enumerate(one.mapping.items()):
        mark = "  - " if place == 0 else "    "
        if key == "readings":
            lines += [f"{mark}readings:", *(f"      - {_flow(reading)}" for reading in value)]
        else:
            lines.append(f"{mark}{key}: {_flow(value)}")
    return lines


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    import yaml

    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n...\n").strip()
