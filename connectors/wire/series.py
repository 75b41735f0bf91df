"""Series and series tables: the names behind the small numbers in a pack."""

from hashlib import sha256
from typing import Annotated, ClassVar

import msgspec

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Series(msgspec.Struct, frozen=True, array_like=True):
    """One quantity of one device, for example `("press-3", "temperature", "Cel")`.

    Attributes
    ----------
    device, quantity
        Names within the gateway; together they are the series' name `<device>/<quantity>`.
    unit
        A unit of SenML's registry (RFC 8428, section 12.1), or "" where there is none.
    """

    device: Name
    quantity: Name
    unit: str = ""


class SeriesTable(msgspec.Struct, frozen=True, kw_only=True):
    """The series of one gateway; a pack names them by their index here.

    Attributes
    ----------
    id
        `table_id(series)`: the same content has the same id everywhere, so a table never changes.
    series
        At most 65,536 entries (a limit that protects workers from a payload that is all names).
    """

    VERSION: ClassVar[int] = 1
    v: int = 1
    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
    series: Annotated[tuple[Series, ...], msgspec.Meta(min_length=1, max_length=65536)]


def table_id(series: tuple[Series, ...]) -> str:
    """Return the id of a table: the first 16 hex digits of SHA-256 over its canonical JSON.

    >>> table_id((Series("press-3", "temperature", "Cel"),))
    'ad3c7096cfe45864'
    """
    return sha256(msgspec.json.encode(series)).hexdigest()[:16]


def series_table(series: tuple[Series, ...]) -> SeriesTable:
    """Build the table of `series`."""
    return SeriesTable(id=table_id(series), series=series)


def is_genuine(table: SeriesTable) -> bool:
    """Whether the table's id is the hash of its content."""
    return table.id == table_id(table.series)
