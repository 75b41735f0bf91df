"""What a record is about: sites, gateways, devices, quantities, as far as it says so itself."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from connectors.wire.topics import (
    ALERT_EVENTS,
    GATEWAY_STATUS,
    LATE_READINGS,
    READINGS,
    SERIES_TABLES,
    WINDOW_SUMMARIES,
)

Plain = Any
"""What `deploy.local.decode.decode_value` returns."""


class Subject(NamedTuple):
    """A series, or as much of its name as is known; "" is unknown or none."""

    site: str = ""
    gateway: str = ""
    device: str = ""
    quantity: str = ""

    @property
    def series(self) -> str:
        """Name of the series within its gateway.

        >>> Subject("plant", "gw", "press-3", "temperature").series, Subject("plant", "gw").series
        ('press-3/temperature', '')
        """
        return "/".join(part for part in (self.device, self.quantity) if part)


Names = Sequence[tuple[str, str]]
"""Device and quantity of each series of a table."""
SeriesOf = Callable[[str], Names]
"""Returns the series of a table; none if nobody knows it."""


def no_tables(_table: str) -> Names:
    """Know no table."""
    return ()


def subjects_of(topic: str, key: bytes | None, value: Plain, series_of: SeriesOf = no_tables) -> list[Subject]:
    """Return what a decoded record is about; empty where it is about nothing in particular.

    Parameters
    ----------
    series_of
        For tables that the record names and does not hold.
    """
    if topic not in _ABOUT or not isinstance(value, Mapping) or "unreadable" in value:
        return []
    return list(_ABOUT[topic](key, value, series_of))


def part_subjects(part: Mapping[str, Any], series_of: SeriesOf) -> list[Subject]:
    """Return the series of a part of a pack, each once; the gateway alone where its table is unknown."""
    where = (part["site"], part["gateway"])
    return series_subjects(where, part["series"], series_of(part["table"]))


def series_subjects(where: tuple[str, str], indexes: Sequence[Any], names: Names) -> list[Subject]:
    """Return the series that some indexes name in a table, each once; the gateway alone where there is none.

    >>> series_subjects(("plant", "gw"), [1, 1, 9], [("press", "speed"), ("press", "heat")])
    [Subject(site='plant', gateway='gw', device='press', quantity='heat')]
    """
    inside = {index for index in indexes if isinstance(index, int) and 0 <= index < len(names)}
    return [Subject(*where, *names[index]) for index in sorted(inside)] or [Subject(*where)]


def own_tables(value: Mapping[str, Any]) -> dict[str, Names]:
    """Return the series tables that a record holds, by id."""
    return {table["id"]: table_names(table) for table in value.get("tables", ())}


def table_names(table: Mapping[str, Any]) -> Names:
    """Return the series of a table, whose entries are objects or, as JSON carries them, arrays."""
    entries = table.get("series", ())
    return [
        (each["device"], each["quantity"]) if isinstance(each, Mapping) else (str(each[0]), str(each[1]))
        for each in entries
    ]


def find_series(value: Mapping[str, Any], series_of: SeriesOf) -> SeriesOf:
    """Return a lookup that knows the tables that a record holds, and asks for the others."""
    known = own_tables(value)

    def find(table: str) -> Names:
        return known.get(table) or series_of(table)

    return find


def _parts(_key: bytes | None, value: Mapping[str, Any], series_of: SeriesOf) -> Iterator[Subject]:
    find = find_series(value, series_of)
    for part in value.get("parts", ()):  # a heartbeat has none
        yield from part_subjects(part, find)


def _summary(_key: bytes | None, value: Mapping[str, Any], series_of: SeriesOf) -> Iterator[Subject]:
    start = 0
    for group in value["groups"]:
        rows = value["series"][start : start + group["rows"]]
        start += group["rows"]
        yield from series_subjects((group["site"], group["gateway"]), rows, series_of(group["table"]))


def _table(_key: bytes | None, value: Mapping[str, Any], _series_of: SeriesOf) -> Iterator[Subject]:
    for device, quantity in table_names(value):
        yield Subject("", "", device, quantity)


def _status(key: bytes | None, _value: Mapping[str, Any], _series_of: SeriesOf) -> Iterator[Subject]:
    site, _, gateway = (key or b"").decode(errors="replace").partition("/")
    yield Subject(site, gateway)


def _alert(_key: bytes | None, value: Mapping[str, Any], _series_of: SeriesOf) -> Iterator[Subject]:
    # A notification's body holds the event in `data`.
    event = value["data"] if isinstance(value.get("data"), Mapping) else value
    yield Subject(*(str(event.get(name, "")) for name in Subject._fields))


_ABOUT: dict[str, Callable[[bytes | None, Mapping[str, Any], SeriesOf], Iterator[Subject]]] = {
    READINGS: _parts,
    LATE_READINGS: _parts,
    WINDOW_SUMMARIES: _summary,
    SERIES_TABLES: _table,
    GATEWAY_STATUS: _status,
    ALERT_EVENTS: _alert,
}
