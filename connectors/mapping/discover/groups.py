"""Topics that say the same kind of thing, put under one template."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from connectors.mapping.discover.forms import Form, Kind
from connectors.mapping.discover.heard import HeardMessage
from connectors.mapping.discover.leaves import Path, is_reading, leaves
from connectors.mapping.discover.words import DEVICE_NAMES, GENERIC_LEVELS, is_quantity, key_among

ALIKE = 0.5
"""Share of common names from which two topics' messages are of one kind."""

_COMPONENT = re.compile(r"[a-z0-9_]+(:\d+)?")


@dataclass
class Readable:
    """A topic, and what of its messages a mapping can read; `others` counts those that none can."""

    topic: str
    forms: list[tuple[HeardMessage, Form]]
    others: int = 0

    @property
    def kind(self) -> Kind:
        """The form of most of them."""
        kinds = [form.kind for _, form in self.forms]
        return max(kinds, key=lambda kind: (kinds.count(kind), kind))

    @property
    def levels(self) -> tuple[str, ...]:
        """Its levels."""
        return tuple(self.topic.split("/"))

    def paths(self) -> frozenset[Path]:
        """Return where its readings are."""
        return frozenset(
            path
            for _, form in self.forms
            for item in form.items
            for path, value in leaves(item)
            if is_reading(path, value)
        )


@dataclass(frozen=True)
class Group:
    """Topics under one template.

    Attributes
    ----------
    levels
        Of the template.
    device
        Text of the mapping for the device, "" where the message must say it.
    quantity
        Put before each quantity's name.
    family
        Whose form it is, where that is known.
    """

    levels: tuple[str, ...]
    topics: tuple[Readable, ...]
    device: str = ""
    quantity: str = ""
    family: str = ""

    @property
    def kind(self) -> Kind:
        """The form of its messages."""
        return self.topics[0].kind

    @property
    def template(self) -> str:
        """The topic template."""
        return "/".join(self.levels)


def groups_of(topics: Iterable[Readable]) -> list[Group]:
    """Put topics into groups; the order of the topics decides nothing."""
    known: dict[tuple[str, ...], Group] = {}
    others: list[Readable] = []
    for one in topics:
        group = _known(one)
        if group is None:
            others.append(one)
        else:
            before = known.get(group.levels, replace(group, topics=()))
            known[group.levels] = replace(before, topics=(*before.topics, one))
    numbers = [one for one in others if one.kind == "number"]
    return [*known.values(), *_numbers(numbers), *_others([one for one in others if one.kind != "number"])]


def _known(one: Readable) -> Group | None:
    """Return the group of a family that is known by its topic and its names."""
    levels, keys = one.levels, {path[:1] for path in one.paths()}
    tops = {key for _, form in one.forms if isinstance(form.message, dict) for key in form.message}
    if one.kind != "object":
        return None
    if "Time" in tops and len(levels) >= 3:
        for place in (0, len(levels) - 2):
            if levels[place] == "tele" and levels[-1] in ("SENSOR", "STATE"):
                at = 1 if place == 0 else len(levels) - 3
                return Group(_placed(levels, {at: "device"}), (one,), "{device}", family="tasmota")
    if ("linkquality",) in keys and len(levels) >= 2:
        return Group(_placed(levels, {len(levels) - 1: "device"}), (one,), "{device}", family="zigbee2mqtt")
    if len(levels) >= 3 and levels[-2:] == ("events", "rpc"):
        return Group(_placed(levels, {len(levels) - 3: "device"}), (one,), "{device}", family="shelly")
    if len(levels) >= 3 and levels[-2] == "status" and _COMPONENT.fullmatch(levels[-1]) and "id" in tops:
        named = _placed(levels, {len(levels) - 3: "device", len(levels) - 1: "component"})
        return Group(named, (one,), "{device}", "{component}.", "shelly")
    return None


def _placed(levels: tuple[str, ...], names: dict[int, str]) -> tuple[str, ...]:
    return tuple(f"{{{names[at]}}}" if at in names else level for at, level in enumerate(levels))


def _numbers(topics: list[Readable]) -> list[Group]:
    """Group plain numbers: the last level that names a quantity is one, and what varies before it is the device."""
    found: dict[tuple[int, str, int, str], list[Readable]] = {}
    for one in topics:
        levels = one.levels
        at = next((place for place in reversed(range(len(levels))) if is_quantity(levels[place])), None)
        at = len(levels) if at is None else at
        name = levels[at] if at < len(levels) else ""
        found.setdefault((len(levels), levels[0], at, name), []).append(one)
    return [_named(tuple(members), {at}, quantity=name or "value") for (_, _, at, name), members in found.items()]


def _others(topics: list[Readable]) -> list[Group]:
    """Group topics of equal length and kind that share a level and most names."""
    clusters: list[list[Readable]] = []
    for one in topics:
        home = next((cluster for cluster in clusters if any(_alike(one, other) for other in cluster)), None)
        if home is None:
            clusters.append([one])
        else:
            home.append(one)
    return [_named(tuple(cluster), set()) for cluster in clusters]


def _alike(one: Readable, other: Readable) -> bool:
    if one.kind != other.kind or len(one.levels) != len(other.levels):
        return False
    if not any(left == right for left, right in zip(one.levels, other.levels, strict=True)):
        return False
    mine, theirs = one.paths(), other.paths()
    return one.kind != "object" or len(mine & theirs) >= ALIKE * len(mine | theirs)


def _named(topics: tuple[Readable, ...], fixed: set[int], quantity: str = "") -> Group:
    """Give a group's levels names: what varies tells the device; of a single topic, the last level that says much."""
    first = topics[0].levels
    varying = [at for at in range(len(first)) if at not in fixed and any(one.levels[at] != first[at] for one in topics)]
    if not varying and _tells_device(topics):
        return Group(first, topics, "", quantity)
    if not varying:
        telling = [
            at for at in range(len(first)) if at not in fixed and first[at].lower() not in GENERIC_LEVELS and first[at]
        ]
        if not telling:
            return Group(first, topics, topics[0].topic.replace("/", "-"), quantity)
        if len(first) - len(fixed) < 2 or telling == [0]:
            return Group(first, topics, first[telling[-1]], quantity)
        varying = telling[-1:]
    names = {at: f"level{at + 1}" for at in varying[:-1]} | {varying[-1]: "device"}
    return Group(_placed(first, names), topics, "-".join(f"{{{names[at]}}}" for at in varying), quantity)


def _tells_device(topics: tuple[Readable, ...]) -> bool:
    return all(device_key(form) is not None for one in topics for _, form in one.forms)


def device_key(form: Form) -> str | None:
    """Return the key under which a message (or each of its items) names its device, None if it doesn't."""
    for holder in (form.message, *form.items[:1]):
        texts = [key for key, value in holder.items() if _is_name(key, value)] if isinstance(holder, dict) else []
        key = key_among(texts, DEVICE_NAMES)
        if key is not None:
            return key
    return None


def _is_name(key: str, value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not set("{}") & set(key)
