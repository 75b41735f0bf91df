"""`tidemark deadletters list | show | export`: what could not be processed, why, and its bytes."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.command import choosing

if TYPE_CHECKING:
    from connectors.wire.ledger import DeadLetter
    from deploy.records.filters import Filters
    from deploy.records.read import Reader
    from deploy.records.record import Place, Record
    from deploy.records.subjects import SeriesOf

LIST_EXAMPLE = "Example: tidemark deadletters list --since 1d --gateway 'gw-*' --reason bad-value --csv"
SHOW_EXAMPLE = "Example: tidemark deadletters show dead-letters-2-17"
EXPORT_EXAMPLE = "Example: tidemark deadletters export mend/ --gateway gw-7 --reason bad-time"

app = typer.Typer(
    help="What could not be processed: list it, look into it, take it out to mend it.", no_args_is_help=True
)


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="deadletters", rich_help_panel="Looking")


@app.command("list", epilog=LIST_EXAMPLE)
def list_letters(
    *,
    since: choosing.Since = None,
    until: choosing.Until = None,
    site: choosing.Site = None,
    gateway: choosing.Gateway = None,
    series: choosing.Series = None,
    reason: choosing.Reason = None,
    service: choosing.Service = None,
    limit: choosing.Limit = 50,
    as_json: choosing.Json = False,
    as_csv: choosing.Csv = False,
) -> None:
    """List dead letters, the newest first. An id names the same letter as long as Kafka keeps it (30 days)."""
    from connectors.kit.settings import load_settings
    from deploy.records.letters import COLUMNS, letter_row, row_text
    from deploy.records.output import lines
    from deploy.records.read import Reader
    from deploy.records.tables import Tables

    form = choosing.form_of(as_json, as_csv)
    settings = load_settings()
    filters = choosing.chosen(
        settings, since=since, until=until, site=site, gateway=gateway, series=series, reason=reason, service=service
    )
    with Reader(settings.kafka) as reader, Tables(settings.kafka) as tables:
        found = _letters(reader, filters, tables.find)
        rows = (letter_row(record, letter) for record, letter in islice(found, limit or None))
        for line in lines(rows, form, COLUMNS, row_text):
            print(line, flush=True)
        choosing.say_if_more(found, limit)


@app.command(epilog=SHOW_EXAMPLE)
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it: dead-letters-2-17.")],
    most: Annotated[int, typer.Option("--bytes", min=0, help="Bytes shown, at most; 0 for all.")] = 1024,
    as_json: choosing.Json = False,
) -> None:
    """Show one letter: why and whence, its bytes, and what they say as far as they can be decoded."""
    import msgspec

    from connectors.kit.settings import load_settings
    from deploy.records.letters import letter_object, letter_text, open_letter
    from deploy.records.read import Reader
    from deploy.records.tables import Tables

    place, settings = _place(letter_id), load_settings()
    with Reader(settings.kafka) as reader, Tables(settings.kafka) as tables:
        record = reader.one(place)
        letter = open_letter(record)
        if as_json:
            print(msgspec.json.encode(letter_object(record, letter, tables.find)).decode())
        else:
            print(letter_text(record, letter, tables.find, most or None))


@app.command(epilog=EXPORT_EXAMPLE)
def export(
    folder: Annotated[Path, typer.Argument(help="Where to write the files; made if it is not there.", file_okay=False)],
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Letters; else what is chosen below.")
    ] = None,
    *,
    since: choosing.Since = None,
    until: choosing.Until = None,
    site: choosing.Site = None,
    gateway: choosing.Gateway = None,
    series: choosing.Series = None,
    reason: choosing.Reason = None,
    service: choosing.Service = None,
    limit: choosing.Limit = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Also files that were changed since.")] = False,
    as_json: choosing.Json = False,
) -> None:
    """Write letters' payloads to files, byte by byte as they came, to be mended and sent again.

    Beside each payload <id>.about.json says why it is dead and, if it came over MQTT, on which topic. A file that was
    changed since its last export is left as it is.
    """
    from connectors.kit.settings import load_settings
    from deploy.records.filters import Filters
    from deploy.records.read import Reader
    from deploy.records.tables import Tables

    places, settings = [_place(text) for text in ids or ()], load_settings()
    filters = choosing.chosen(
        settings, since=since, until=until, site=site, gateway=gateway, series=series, reason=reason, service=service
    )
    if places and (limit or filters != Filters()):
        raise typer.BadParameter("name letters by id or choose them by options, not both")
    with Reader(settings.kafka) as reader, Tables(settings.kafka) as tables:
        letters = _named(reader, places) if places else _letters(reader, filters, tables.find)
        _export(folder, islice(letters, limit or None), tables.find, overwrite=overwrite, as_json=as_json)


def _export(
    folder: Path,
    letters: "Iterator[tuple[Record, DeadLetter]]",
    series_of: "SeriesOf",
    *,
    overwrite: bool,
    as_json: bool,
) -> None:
    import msgspec

    from deploy.command.exits import CommandFailed
    from deploy.records.export import export_letter

    count = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for record, letter in letters:
            done = export_letter(folder, record, letter, overwrite=overwrite, series_of=series_of)
            count += 1
            fields = {"id": done.id, "file": str(done.file), "outcome": done.outcome, "mqtt_topic": done.mqtt_topic}
            text = f"{done.outcome:<8} {done.file}"
            print(msgspec.json.encode(fields).decode() if as_json else text, flush=True)
    except OSError as error:
        raise CommandFailed(f"{error.filename or folder} can't be written: {error.strerror}") from error
    print(f"{count} letters in {folder}", file=sys.stderr)


def _place(text: str) -> "Place":
    from connectors.wire.topics import DEAD_LETTERS
    from deploy.records.record import parse_id

    try:
        place = parse_id(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="ID") from error
    if place.topic != DEAD_LETTERS:
        raise typer.BadParameter(f"{text} is no dead letter; tidemark deadletters list shows their ids")
    return place


def _named(reader: "Reader", places: "list[Place]") -> "Iterator[tuple[Record, DeadLetter]]":
    from deploy.records.letters import open_letter

    for place in places:
        record = reader.one(place)
        yield record, open_letter(record)


def _letters(reader: "Reader", filters: "Filters", series_of: "SeriesOf") -> "Iterator[tuple[Record, DeadLetter]]":
    """Yield the letters that are wanted, the newest first."""
    from connectors.wire.topics import DEAD_LETTERS
    from deploy.records.letters import open_letter, takes_letter

    for record in reader.newest_first(DEAD_LETTERS, filters):
        letter = open_letter(record)
        if takes_letter(filters, letter, series_of):
            yield record, letter
