"""Any topic's record, decoded, as a row."""

from connectors.wire.ledger import DeadLetter
from connectors.wire.topics import DEAD_LETTERS
from connectors.wire.versions import WireError, from_msgpack
from deploy.local.decode import decode_value, text_or_base64
from deploy.records.filters import Filters
from deploy.records.letters import takes_letter
from deploy.records.output import Row, compact, printable
from deploy.records.record import Record, rfc3339
from deploy.records.subjects import SeriesOf, subjects_of

COLUMNS = ("id", "topic", "partition", "offset", "timestamp_ms", "key", "headers", "value")


def shown(record: Record) -> Row:
    """Return a record as a row, its value decoded."""
    place = record.place
    return {
        "id": str(place),
        "topic": place.topic,
        "partition": place.partition,
        "offset": place.offset,
        "timestamp_ms": record.stamp_ms,
        "key": None if record.key is None else text_or_base64(record.key),
        "headers": {name: text_or_base64(value) for name, value in record.headers},
        "value": decode_value(place.topic, record.value),
    }


def takes(filters: Filters, record: Record, series_of: SeriesOf) -> bool:
    """Whether a record is wanted, by all that the filters ask for."""
    if not filters.takes_stamp(record.stamp_ms):
        return False
    topic = record.place.topic
    if topic == DEAD_LETTERS:
        return _takes_letter(filters, record, series_of)
    if filters.reasons or filters.services:
        return False
    if not filters.asks_for_subjects:
        return True
    return filters.takes_subjects(subjects_of(topic, record.key, decode_value(topic, record.value), series_of))


def _takes_letter(filters: Filters, record: Record, series_of: SeriesOf) -> bool:
    try:
        return takes_letter(filters, from_msgpack(DeadLetter, record.value or b""), series_of)
    except WireError:
        return filters == Filters(filters.since_ms, filters.until_ms)


def shown_text(row: Row) -> str:
    """Return a row as two lines: place, key and headers, then the value."""
    said = [f"{rfc3339(row['timestamp_ms'])} {row['partition']}@{row['offset']}"]
    if row["key"] is not None:
        said.append(f"key={_word(row['key'])}")
    said += [f"{printable(name)}={_word(value)}" for name, value in row["headers"].items()]
    return " ".join(said) + "\n    " + printable(compact(row["value"]))


def _word(value: object) -> str:
    return printable(value) if isinstance(value, str) else printable(compact(value))
