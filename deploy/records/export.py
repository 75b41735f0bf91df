"""Dead letters as files: the bytes as they came, to be mended and sent again, and beside them where they came from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from connectors.wire.ledger import DeadLetter
from deploy.records.letters import letter_object
from deploy.records.payload import decode_payload
from deploy.records.record import Record
from deploy.records.subjects import SeriesOf, no_tables

ENDINGS = {"json": "json", "msgpack": "msgpack", "text": "txt", "binary": "bin"}

Outcome = Literal["written", "same", "kept", "empty"]


@dataclass(frozen=True)
class Exported:
    """What became of a letter.

    Attributes
    ----------
    file
        Where its payload is.
    outcome
        `written`; `same`: it was there; `kept`: another file is there, perhaps a mended one, and was left; `empty`: the
        letter has no bytes.
    """

    id: str
    file: Path
    outcome: Outcome
    mqtt_topic: str | None


def export_letter(
    folder: Path, record: Record, letter: DeadLetter, *, overwrite: bool = False, series_of: SeriesOf = no_tables
) -> Exported:
    """Write a letter's payload to `folder`/<id>.<ending>, and what is known about it to <id>.about.json.

    Raises
    ------
    OSError
        If the files can't be written.
    """
    name = str(record.place)
    file = folder / f"{name}.{ENDINGS[decode_payload(letter).form]}"
    about = letter_object(record, letter, series_of)
    (folder / f"{name}.about.json").write_bytes(msgspec.json.format(msgspec.json.encode(about), indent=2) + b"\n")
    return Exported(name, file, _write(file, letter.payload, overwrite), about["mqtt_topic"])


def _write(file: Path, payload: bytes, overwrite: bool) -> Outcome:
    if not payload:
        return "empty"
    if file.exists() and not overwrite:
        return "same" if file.read_bytes() == payload else "kept"
    file.write_bytes(payload)
    return "written"
