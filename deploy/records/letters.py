"""Dead letters: a row each for a list, and one letter with its bytes."""

from typing import Any

import msgspec

from connectors.wire.ledger import DeadLetter
from connectors.wire.versions import WireError, from_msgpack
from deploy.local.decode import text_or_base64
from deploy.records.filters import Filters
from deploy.records.hexdump import hexdump
from deploy.records.output import Row, printable
from deploy.records.payload import decode_payload, letter_subjects, mqtt_topic
from deploy.records.record import Record, rfc3339
from deploy.records.subjects import SeriesOf, no_tables

COLUMNS = (
    "id",
    "written",
    "service",
    "reason",
    "site",
    "gateway",
    "boot",
    "seq",
    "readings",
    "indexes",
    "bytes",
    "received",
    "source",
    "detail",
)
"""Of the CSV, and the keys of a row."""


def open_letter(record: Record) -> DeadLetter:
    """Return the letter in a record of the dead-letter topic; one that can't be read is a letter about itself."""
    try:
        return from_msgpack(DeadLetter, record.value or b"")
    except WireError as error:
        return DeadLetter(
            service="?",
            reason="unknown-version" if error.reason == "unknown-version" else "malformed",
            detail=f"the letter itself can't be read: {error.detail}",
            source=str(record.place),
            received_ms=record.stamp_ms,
            payload=record.value or b"",
        )


def letter_row(record: Record, letter: DeadLetter, series_of: SeriesOf = no_tables) -> Row:
    """Return a letter without its bytes."""
    about = letter_subjects(letter, series_of)[0]
    return {
        "id": str(record.place),
        "written": rfc3339(record.stamp_ms),
        "service": letter.service,
        "reason": letter.reason,
        "site": about.site,
        "gateway": letter.gateway or about.gateway,
        "boot": letter.boot,
        "seq": letter.seq,
        "readings": letter.readings,
        "indexes": letter.indexes,
        "bytes": len(letter.payload),
        "received": rfc3339(letter.received_ms),
        "source": letter.source,
        "detail": letter.detail,
    }


def takes_letter(filters: Filters, letter: DeadLetter, series_of: SeriesOf = no_tables) -> bool:
    """Whether a letter is wanted; of its series, those that its bad readings are of."""
    if not filters.takes_cause(letter.reason, letter.service):
        return False
    return not filters.asks_for_subjects or filters.takes_subjects(letter_subjects(letter, series_of))


def row_text(row: Row) -> str:
    """Return a row in two lines."""
    where = "/".join(printable(str(row[name])) for name in ("site", "gateway") if row[name])
    amount = f"{row['readings']} readings, " if row["readings"] else ""
    return (
        f"{row['id']:<20} {row['written']}  {printable(row['service']):<8} {row['reason']:<17} {where}  "
        f"{amount}{row['bytes']} bytes\n    {printable(row['detail'])} · {printable(row['source'])}"
    )


def letter_object(record: Record, letter: DeadLetter, series_of: SeriesOf = no_tables) -> dict[str, Any]:
    """Return everything about a letter, its bytes as they are and as far as they can be decoded."""
    form, decoded = decode_payload(letter)
    about = [subject for subject in letter_subjects(letter, series_of) if subject.series]
    return letter_row(record, letter, series_of) | {
        "series": [subject.series for subject in about],
        "mqtt_topic": letter.source if mqtt_topic(letter.source) else None,
        "form": form,
        "decoded": decoded,
        "payload": text_or_base64(letter.payload),
    }


def letter_text(record: Record, letter: DeadLetter, series_of: SeriesOf = no_tables, most: int | None = None) -> str:
    """Return a letter for people: its fields, its bytes (at most `most`), and what they say."""
    whole = letter_object(record, letter, series_of)
    facts = {name: whole[name] for name in COLUMNS} | {"series": ", ".join(whole["series"])}
    said = [f"{name:<9} {printable(str(value))}" for name, value in facts.items() if value not in ("", 0, [])]
    said += ["", f"{len(letter.payload)} bytes as they came", *hexdump(letter.payload, most)]
    if whole["decoded"] not in (None, ""):
        said += ["", f"decoded ({whole['form']})", *_pretty(whole["form"], whole["decoded"])]
    return "\n".join(said)


def _pretty(form: str, value: Any) -> list[str]:
    text = value if form == "text" else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return [printable(line) for line in text.splitlines()]
