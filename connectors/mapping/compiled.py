"""A mapping, ready for messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from connectors.mapping.document import MappingSpec, ReadingSpec, TimeSpec
from connectors.mapping.expression import Expression, Text, checked_name, find_either
from connectors.mapping.mapped import BadReading, Mapped, MappedReading
from connectors.mapping.refusal import Refusal, quoted
from connectors.mapping.senml import resolve
from connectors.mapping.times import event_time_ms, zone
from connectors.mapping.topics import topic_template
from connectors.mapping.units import registered
from connectors.mapping.values import number
from connectors.wire.pack import MAX_READINGS
from connectors.wire.series import Series

MAX_DEVICES = 10_000
"""Topics whose series are remembered for a mapping; bounds memory, and they are soon made again."""

Names = Mapping[str, str]
"""Placeholder → the topic's level."""


class CompiledReading:
    """One reading of a mapping."""

    def __init__(self, spec: ReadingSpec, device: str, names: tuple[str, ...]) -> None:
        self.spec = spec
        self.value = Expression(spec.value)
        self.device = Text(spec.device or device, names)
        self.quantity = Text(spec.quantity, names)
        self.unit = Text(spec.unit, names)

    @property
    def from_message(self) -> bool:
        """Whether the message names the series, and not the topic alone."""
        return self.device.from_message or self.quantity.from_message or self.unit.from_message

    def series(self, named: Names, item: Any = None, message: Any = None) -> Series:
        """Return its series. Raises `Refusal`."""
        return Series(
            checked_name("device", self.device.fill(named, item, message)),
            checked_name("quantity", self.quantity.fill(named, item, message)),
            self._unit(named, item, message),
        )

    def _unit(self, named: Names, item: Any, message: Any) -> str:
        if not self.unit.from_message:
            return self.unit.fill(named)
        try:
            return registered(checked_name("unit", self.unit.fill(named, item, message)))
        except Refusal:
            return ""  # A reading without a unit is a reading.


class CompiledTime:
    """Where and how a message says when."""

    def __init__(self, spec: TimeSpec) -> None:
        self._spec = spec
        self._at = Expression(spec.at)
        self._zone = zone(spec.zone)

    def of(self, item: Any, message: Any) -> int:
        """Return the event time. Raises `Refusal`."""
        found = find_either(self._at, item, message)
        if found is None:
            raise Refusal("bad-time", f"no time at {self._spec.at!r}")
        return event_time_ms(found, self._spec.form, self._zone)


@dataclass(frozen=True, slots=True)
class _Fixed:
    """What the topic alone says of the readings' series.

    Attributes
    ----------
    series
        One a reading of the mapping: its series, why it has none, or None where the message has a say.
    family
        The known ones, each once.
    """

    series: tuple[Series | Refusal | None, ...]
    family: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class _Context:
    """A message with what its topic says."""

    named: Names
    message: Any
    fixed: _Fixed


class CompiledMapping:
    """A mapping that was checked.

    Raises
    ------
    TemplateError
        For the first thing that is wrong; the loader finds the others.
    """

    def __init__(self, spec: MappingSpec) -> None:
        self.spec = spec
        self.topic = topic_template(spec.topic)
        names = self.topic.names
        self.site = Text(spec.site, names)
        self.gateway = Text(spec.gateway, names)
        self.readings = [CompiledReading(one, spec.device, names) for one in spec.readings]
        self._each = Expression(spec.each) if spec.each else None
        self._time = CompiledTime(spec.time) if spec.time else None
        self._known: dict[tuple[str, ...], _Fixed] = {}

    def home(self, named: Names) -> tuple[str, str]:
        """Return site and gateway. Raises `Refusal`."""
        return checked_name("site", self.site.fill(named)), checked_name("gateway", self.gateway.fill(named))

    def apply(self, named: Names, payload: bytes) -> Mapped:
        """Return what is in a message. Deterministic.

        Raises
        ------
        Refusal
            If nothing of it can be used; what is wrong with single readings is told in the result.
        """
        context = _Context(named, self._decoded(payload), self._fixed(named))
        message = context.message
        found = Mapped()
        places = ((item, at) for item in self._items(message) for at in range(len(self.readings)))
        for place, (item, at) in enumerate(places):
            try:
                reading = self._read(context, item, at, place)
            except Refusal as refusal:
                detail = f"mapping {self.spec.name}, {self.readings[at].spec.value!r}: {refusal.detail}"
                found.bad.append(BadReading(place, Refusal(refusal.reason, detail)))
            else:
                found.readings.extend([reading] if reading else [])
        if not found.readings and not found.bad and self.spec.otherwise == "dead-letter":
            wanted = ", ".join(repr(one.value) for one in self.spec.readings)
            raise Refusal("malformed", f"mapping {self.spec.name}: nothing at {wanted} in {quoted(message, 120)}")
        return found

    def _decoded(self, payload: bytes) -> Any:
        try:
            return payload.decode() if self.spec.format == "text" else msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal("malformed", f"mapping {self.spec.name}: no {self.spec.format}: {error}") from error

    def _items(self, message: Any) -> list[Any]:
        senml = self.spec.format == "senml"
        items: Any = resolve(message) if senml else [message]
        if self._each is not None:
            items = self._each.find(items if senml else message)
            if items is None and self.spec.otherwise == "ignore":
                return []
            if not isinstance(items, list):
                raise Refusal("malformed", f"mapping {self.spec.name}: no list at {self.spec.each!r}")
        most = len(items) * len(self.readings)
        if most > MAX_READINGS:
            raise Refusal("too-many-readings", f"mapping {self.spec.name}: up to {most}; at most {MAX_READINGS}")
        return list(items)

    def _read(self, context: _Context, item: Any, at: int, place: int) -> MappedReading | None:
        """Return one reading of one item, None if it isn't there. Raises `Refusal`."""
        compiled, spec = self.readings[at], self.readings[at].spec
        raw = compiled.value.find(item)
        if raw is None:
            return None
        value = number(number(raw, spec.values) * spec.scale + spec.offset, {})
        time_ms, since_ms = self._when(item, context.message)
        series, family = context.fixed.series[at], context.fixed.family
        if isinstance(series, Refusal):
            raise series
        if series is None:
            series = compiled.series(context.named, item, context.message)
            family = (series,)
        return MappedReading(place, series, family, value, time_ms, since_ms)

    def _when(self, item: Any, message: Any) -> tuple[int | None, int]:
        """Return the event time, or None and how far it is from the receipt."""
        if self._time is not None:
            return self._time.of(item, message), 0
        if self.spec.format == "senml" and isinstance(item, dict):
            if "t" in item:
                return event_time_ms(item["t"], "epoch_s", None), 0
            return None, event_time_ms(item.get("since", 0), "epoch_s", None)
        return None, 0

    def _fixed(self, named: Names) -> _Fixed:
        key = tuple(named[name] for name in self.topic.names)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MAX_DEVICES:
                self._known.clear()
            known = self._known[key] = self._fix(named)
        return known

    def _fix(self, named: Names) -> _Fixed:
        series: list[Series | Refusal | None] = []
        for one in self.readings:
            try:
                series.append(None if one.from_message else one.series(named))
            except Refusal as refusal:
                series.append(refusal)
        family = dict.fromkeys(one for one in series if isinstance(one, Series))
        return _Fixed(tuple(series), tuple(family))
