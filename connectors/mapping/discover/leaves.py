"""Walking JSON: its leaves with their paths, and paths as JMESPath."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from connectors.mapping.discover.words import NO_READINGS, TIME_NAMES

Path = tuple[str, ...]

MAX_LEAVES = 500
"""Leaves looked at in one message."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?")


def leaves(value: Any) -> list[tuple[Path, Any]]:
    """Return the leaves of nested objects; a list is a leaf."""
    found = []
    for entry in _walk(value, ()):
        found.append(entry)
        if len(found) >= MAX_LEAVES:
            break
    return found


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if len(path) < 10:
                yield from _walk(inner, (*path, str(key)))
    else:
        yield path, value


def expression(path: Path) -> str:
    """Return a path as JMESPath.

    >>> expression(("params", "switch:0", "apower"))
    'params."switch:0".apower'
    """
    keys = (key if _PLAIN_KEY.fullmatch(key) else msgspec.json.encode(key).decode() for key in path)
    return ".".join(keys) or "@"


def is_number(value: Any) -> bool:
    """Whether a leaf is a number, or one in quotes."""
    if isinstance(value, str):
        return _NUMBER.fullmatch(value.strip()) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_reading(path: Path, value: Any) -> bool:
    """Whether a leaf is a number that may measure something: neither a time nor a message's number."""
    if not is_number(value):
        return False
    name = path[-1].lower().replace("-", "_") if path else ""
    timely = name in TIME_NAMES[:-1] or name.endswith(("_ts", "_time", "timestamp"))
    # A plain t is a time or a temperature; only the size of its values tells.
    return name not in NO_READINGS and not timely and not (name == "t" and abs(float(value)) > 1e8)
