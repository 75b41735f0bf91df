"""From a group of topics to the mapping that reads them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.mapping.discover.forms import Form
from connectors.mapping.discover.groups import Group, device_key
from connectors.mapping.discover.heard import HeardMessage
from connectors.mapping.discover.leaves import Path, expression, is_number, is_reading, leaves
from connectors.mapping.discover.times import FoundTime, Stamp, candidates, found_time
from connectors.mapping.discover.words import (
    CONTAINERS,
    DEVICE_NAMES,
    FAHRENHEIT,
    QUANTITY_NAMES,
    UNIT_NAMES,
    VALUE_NAMES,
    Unit,
    guessed_unit,
    key_among,
)
from connectors.mapping.units import registered

_NAMELESS = ("id", "src", "source")
"""Keys that name a device where a message is of one, but not an item of a list."""

MAINS = 1_000.0
"""A greater voltage of a Zigbee device is in millivolts."""


@dataclass
class Proposal:
    """A mapping, as plain values of the mapping file, and what to tell the user about it."""

    mapping: dict[str, Any]
    group: Group
    notes: list[str] = field(default_factory=list)


def propose(group: Group, name: str) -> Proposal:
    """Propose a mapping for a group of topics."""
    made = Proposal({"name": name, "topic": group.template}, group)
    makers = {"number": _number, "senml": _senml, "rows": _rows, "object": _object}
    makers[group.kind](made, group)
    if group.kind != "number" and (
        group.family in ("zigbee2mqtt", "shelly") or any(one.others for one in group.topics)
    ):
        made.mapping["otherwise"] = "ignore"
        made.notes.append("other messages come on these topics too; those without a reading are passed over")
    elif any(one.others for one in group.topics):
        made.notes.append("not every message there was a number; what is none becomes a dead letter")
    order = ("name", "topic", "gateway", "device", "format", "each", "time", "otherwise", "readings")
    made.mapping = {key: made.mapping[key] for key in order if key in made.mapping}
    return made


def _messages(group: Group) -> Iterator[tuple[HeardMessage, Form]]:
    for one in group.topics:
        yield from (pair for pair in one.forms if pair[1].kind == group.kind)


def _number(made: Proposal, group: Group) -> None:
    values = [float(form.message) for _, form in _messages(group)]
    guess = guessed_unit((group.quantity,), values)
    reading = _reading("@", group.quantity.lower(), guess)
    made.mapping |= {"device": group.device or group.template, "format": "text", "readings": [reading]}
    if group.quantity == "value":
        made.notes.append("no level of the topic names what is measured; give the quantity a name")


def _senml(made: Proposal, group: Group) -> None:
    items = [item for _, form in _messages(group) for item in form.items]
    parted = all("device" in item for item in items)
    reading = {"value": "v", "quantity": "{=quantity}" if parted else "{=n}", "unit": "{=u}"}
    device = "{=device}" if parted else group.device or group.template
    made.mapping |= {"device": device, "format": "senml", "readings": [reading]}


def _rows(made: Proposal, group: Group) -> None:
    pairs = [(message, form, item) for message, form in _messages(group) for item in form.items]
    items = [item for _, _, item in pairs]
    each = next(form.each for _, form in _messages(group))
    texts = _keys_of(items, lambda value: isinstance(value, str) and bool(value))
    value = key_among(_keys_of(items, lambda value: is_reading(("value",), value)), VALUE_NAMES)
    device = key_among([key for key in texts if key.lower() not in _NAMELESS], DEVICE_NAMES)
    name = key_among([key for key in texts if key != device], QUANTITY_NAMES)
    if value is not None and name is None and device is not None:
        name, device = device, None
    if value is not None and name is not None:
        unit = key_among(texts, UNIT_NAMES)
        reading = {"value": expression((value,)), "quantity": _from_message(name)}
        readings = [reading | ({"unit": _from_message(unit)} if unit else {})]
    else:
        readings = _readings(items, group.quantity, {})
    made.mapping |= {"device": _from_message(device) if device else _device(group), "each": each}
    _timed(made, [(message, form.message, item) for message, form, item in pairs])
    made.mapping["readings"] = readings


def _object(made: Proposal, group: Group) -> None:
    pairs = list(_messages(group))
    messages = [form.message for _, form in pairs]
    made.mapping["device"] = _device(group)
    _timed(made, [(message, form.message, form.message) for message, form in pairs])
    made.mapping["readings"] = _readings(messages, group.quantity, _hints(group.family, messages))
    if group.family == "zigbee2mqtt":
        made.mapping["readings"] = _with_two_voltages(made.mapping["readings"], messages)
    lists = {path for one in messages for path, value in leaves(one) if isinstance(value, list) and value}
    if lists:
        made.notes.append(f"left out, being lists: {', '.join(sorted(map(expression, lists)))}")


def _device(group: Group) -> str:
    """Return the text that names the device: the message's where a topic carries several, else the topic's."""
    for one in group.topics:
        keys = {device_key(form) for _, form in one.forms}
        if len(keys) != 1 or (key := keys.pop()) is None or group.family:
            continue
        named = {form.message.get(key) for _, form in one.forms if isinstance(form.message, dict)}
        if not group.device or len(named) > 1:
            return _from_message(key)
    return group.device or group.template.replace("/", "-")


def _from_message(key: str) -> str:
    return "{=" + expression((key,)) + "}"


def _keys_of(items: Sequence[Any], fits: Any) -> list[str]:
    """Return the keys whose values fit in every item."""
    shared = [key for key in items[0] if all(fits(item.get(key)) for item in items)]
    return [key for key in shared if "{" not in key and "}" not in key]


def _hints(family: str, messages: Sequence[Any]) -> dict[str, Unit]:
    """Return the units that a family's documentation or its messages tell, by the last key of a path."""
    if family == "zigbee2mqtt":
        return {"energy": Unit("kWh")}
    if family == "tasmota":
        fahrenheit = {one.get("TempUnit") for one in messages} == {"F"}
        return {"RSSI": Unit("%")} | (dict.fromkeys(("Temperature", "DewPoint"), FAHRENHEIT) if fahrenheit else {})
    return {}


def _with_two_voltages(readings: list[dict[str, Any]], messages: Sequence[Any]) -> list[dict[str, Any]]:
    """Part the voltage of batteries, which Zigbee devices tell in millivolts, from that of the mains."""
    volts = [(float(one["voltage"]), "battery" in one) for one in messages if is_number(one.get("voltage"))]
    if not any(high > MAINS for high, _ in volts) or not any(low <= MAINS for low, _ in volts):
        return readings
    if any((value > MAINS) != battery for value, battery in volts):
        return readings
    kept = [one for one in readings if one["value"] != "voltage"]
    both = {"quantity": "voltage", "unit": "V"}
    millivolts = {"value": "[@] | [?battery].voltage | [0]"} | both | {"scale": 0.001}
    return [*kept, millivolts, {"value": "[@] | [?!battery].voltage | [0]"} | both]


def _readings(items: Sequence[Any], prefix: str, hints: dict[str, Unit]) -> list[dict[str, Any]]:
    values: dict[Path, list[float]] = {}
    units: dict[Path, set[str]] = {}
    for item in items:
        for path, value in leaves(item):
            if is_reading(path, value):
                values.setdefault(path, []).append(float(value))
            elif isinstance(value, str) and path[-1].lower() in UNIT_NAMES:
                units.setdefault(path[:-1], set()).add(value)
    # A brace in a name would be read as a placeholder of the mapping.
    named = [path for path in sorted(values) if not set("{}") & set("".join(path))]
    paths = [path for path in named if not _is_again_in_fahrenheit(path, values)]
    names = _names(paths)
    return [
        _reading(expression(path), prefix + names[path], _unit(path, values[path], units.get(path[:-1]), hints))
        for path in paths
    ]


def _is_again_in_fahrenheit(path: Path, values: dict[Path, list[float]]) -> bool:
    return path[-1] == "tF" and (*path[:-1], "tC") in values


def _unit(path: Path, values: list[float], told: set[str] | None, hints: dict[str, Unit]) -> Unit:
    named = path[:-1] if path[-1].lower() in VALUE_NAMES and len(path) > 1 else path
    if told is not None and len(told) == 1 and (named != path or len(values) == 1):
        unit = told.pop()
        return FAHRENHEIT if unit in ("°F", "degF") else Unit("Cel") if unit == "C" else Unit(registered(unit))
    return hints.get(path[-1]) or guessed_unit(named, values)


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """Return a quantity's name for each path: short, small letters, each once."""
    named = {path: ".".join(_telling(path)).lower() for path in paths}
    counts = [*named.values()]
    return {path: name if counts.count(name) == 1 else ".".join(path) for path, name in named.items()}


def _telling(path: Path) -> Path:
    """Return the keys of a path that say what is measured."""
    kept = path[:-1] if len(path) > 1 and path[-1].lower() in VALUE_NAMES else path
    while len(kept) > 1 and kept[0].lower() in CONTAINERS:
        kept = kept[1:]
    # A device that repeats its sensor's kind: temperature.tC.
    return kept[:-1] if len(kept) > 1 and kept[-1] in ("tC", "rh") else kept


def _reading(value: str, quantity: str, unit: Unit) -> dict[str, Any]:
    reading: dict[str, Any] = {
        "value": value,
        "quantity": quantity,
    }
    if unit.unit:
        reading["unit"] = unit.unit
    if unit.scale != 1.0:
        reading["scale"] = unit.scale
    if unit.offset:
        reading["offset"] = unit.offset
    return reading


def _timed(made: Proposal, pairs: Sequence[tuple[HeardMessage, Any, Any]]) -> None:
    """Put the time into the mapping, if every message (or item) has one; the item's before the message's."""
    first_item, first_message = pairs[0][2], pairs[0][1]
    for of_item, value in ((True, first_item), (False, first_message)):
        if not isinstance(value, dict) or (not of_item and value is first_item):
            continue
        for path in candidates(value):
            stamps = [
                Stamp(_at(item if of_item else whole, path), m.received_ms, m.retained) for m, whole, item in pairs
            ]
            found = found_time(path, stamps)
            if found is not None and _covers(path, pairs, of_item):
                _put_time(made, found)
                return
    made.notes.append("no time is in every message, so each counts at its receipt")


def _covers(path: Path, pairs: Sequence[tuple[HeardMessage, Any, Any]], of_item: bool) -> bool:
    """Whether a time stands beside or above every reading: one deep inside belongs to its neighbours alone."""
    if not of_item:
        return True
    parent = path[:-1]
    return all(
        inner[: len(parent)] == parent
        for _, _, item in pairs
        for inner, value in leaves(item)
        if is_reading(inner, value)
    )


def _put_time(made: Proposal, found: FoundTime) -> None:
    made.mapping["time"] = {"at": expression(found.path), "form": found.form}
    if found.zone:
        made.mapping["time"]["zone"] = found.zone
    made.notes.extend(found.notes)


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
