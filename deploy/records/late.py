"""Late readings: a row a part of a pack, or a row a reading."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from connectors.wire.topics import LATE_READINGS, READINGS
from deploy.local.decode import decode_value
from deploy.records.filters import Filters
from deploy.records.output import Row, printable
from deploy.records.record import Record, rfc3339
from deploy.records.subjects import Names, SeriesOf, Subject, find_series, part_subjects

COLUMNS = (
    "id",
    "part",
    "written",
    "site",
    "gateway",
    "boot",
    "seq",
    "readings",
    "series",
    "cell",
    "window_end",
    "received",
    "behind_ms",
    "source",
)
READING_COLUMNS = (
    "id",
    "part",
    "index",
    "site",
    "gateway",
    "device",
    "quantity",
    "unit",
    "time",
    "value",
    "quality",
    "window_end",
    "received",
    "behind_ms",
)


class LatePart(NamedTuple):
    """A part of a pack in a record of late readings.

    Attributes
    ----------
    value
        The whole record, decoded.
    names
        Of the part's series table; empty if nobody knows it.
    about
        The series that it has readings of.
    """

    record: Record
    value: dict[str, Any]
    number: int
    part: dict[str, Any]
    names: Names
    about: list[Subject]

    def common(self) -> Row:
        """Return what rows of a part and of its readings share."""
        end_ms, received_ms = self.value["window_end_ms"], self.part["received_ms"]
        return {
            "id": str(self.record.place),
            "part": self.number,
            "written": rfc3339(self.record.stamp_ms),
            "site": self.part["site"],
            "gateway": self.part["gateway"],
            "window_end": rfc3339(end_ms),
            "received": rfc3339(received_ms),
            "behind_ms": received_ms - end_ms,
        }


def late_parts(record: Record, filters: Filters, series_of: SeriesOf) -> Iterator[LatePart]:
    """Yield the parts of a record that are wanted; none of a record that can't be read."""
    value = decode_value(LATE_READINGS, record.value)
    if not isinstance(value, dict) or "unreadable" in value:
        return
    find = find_series(value, series_of)
    for number, part in enumerate(value["parts"]):
        about = part_subjects(part, find)
        if filters.takes_subjects(about):
            yield LatePart(record, value, number, part, find(part["table"]), about)


def part_row(late: LatePart) -> Row:
    """Return a part's row; `behind_ms` is from the end of the window it was too late for to its receipt."""
    part, value = late.part, late.value
    return late.common() | {
        "boot": part["boot"],
        "seq": part["seq"],
        "readings": len(part["values"]),
        "series": [subject.series for subject in late.about if subject.series],
        "cell": rfc3339(value["cell_ms"]),
        "source": f"{READINGS}/{value['shard']}/{value['offset']}",
    }


def reading_rows(late: LatePart, filters: Filters) -> Iterator[Row]:
    """Yield a row for each reading of a part that is wanted."""
    part = late.part
    units = {table["id"]: table["series"] for table in late.value["tables"]}.get(part["table"], [])
    for place, series in enumerate(part["series"]):
        device, quantity = late.names[series] if series < len(late.names) else ("", "")
        if filters.takes_subject(Subject(part["site"], part["gateway"], device, quantity)):
            yield late.common() | {
                "index": part["index"][place] if part["index"] else place,
                "device": device,
                "quantity": quantity,
                "unit": units[series]["unit"] if series < len(units) else "",
                "time": rfc3339(late.value["cell_ms"] + part["offsets"][place]),
                "value": part["values"][place],
                "quality": part["quality"][place] if part["quality"] else 0,
            }


def part_text(row: Row) -> str:
    """Return a part in two lines."""
    where = printable("/".join(name for name in (row["site"], row["gateway"]) if name))
    return (
        f"{row['id']:<20} {row['written']}  {where}  {row['readings']} readings of {row['cell']}, "
        f"{behind(row['behind_ms'])} after their window\n    {printable(', '.join(row['series']) or 'series unknown')}"
    )


def reading_text(row: Row) -> str:
    """Return a reading in a line."""
    name = "/".join(part for part in (row["site"], row["gateway"], row["device"], row["quantity"]) if part)
    value = "none" if row["value"] is None else f"{row['value']:g}"
    late = f"{behind(row['behind_ms'])} after its window"
    return f"{row['time']}  {printable(name)}  {value} {printable(row['unit'])}".rstrip() + f"  {late}"


def behind(behind_ms: int) -> str:
    """Return a span in words.

    >>> behind(1_500), behind(7_325_000), behind(-20)
    ('1.5 s', '2 h 2 min', '0.0 s')
    """
    seconds = max(0, behind_ms) / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
