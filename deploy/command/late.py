"""`tidemark late list`: readings that came after their window."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.command import choosing

if TYPE_CHECKING:
    from deploy.records.filters import Filters
    from deploy.records.read import Reader
    from deploy.records.subjects import SeriesOf

EXAMPLE = "Example: tidemark late list --gateway gw-7 --since 6h --readings --csv > late.csv"

app = typer.Typer(help="Readings that came after their window had been judged.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Readings that came after their window had been judged; they are counted and kept."""


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="late", rich_help_panel="Looking")


@app.command("list", epilog=EXAMPLE)
def list_late(
    *,
    readings: Annotated[bool, typer.Option("--readings", help="A row a reading, not a row a pack.")] = False,
    since: choosing.Since = None,
    until: choosing.Until = None,
    site: choosing.Site = None,
    gateway: choosing.Gateway = None,
    series: choosing.Series = None,
    limit: choosing.Limit = 50,
    as_json: choosing.Json = False,
    as_csv: choosing.Csv = False,
) -> None:
    """List late readings, the newest first, with how far they came after their window. Kafka keeps them for 7 days."""
    from connectors.kit.settings import load_settings
    from deploy.records import late
    from deploy.records.output import lines
    from deploy.records.read import Reader
    from deploy.records.tables import Tables

    form = choosing.form_of(as_json, as_csv)
    settings = load_settings()
    filters = choosing.chosen(settings, since=since, until=until, site=site, gateway=gateway, series=series)
    columns, as_text = (late.READING_COLUMNS, late.reading_text) if readings else (late.COLUMNS, late.part_text)
    with Reader(settings.kafka) as reader, Tables(settings.kafka) as tables:
        found = _rows(reader, filters, tables.find, readings)
        for line in lines(islice(found, limit or None), form, columns, as_text):
            print(line, flush=True)
        choosing.say_if_more(found, limit)


def _rows(reader: "Reader", filters: "Filters", series_of: "SeriesOf", readings: bool) -> Iterator[dict[str, Any]]:
    from connectors.wire.topics import LATE_READINGS
    from deploy.records.late import late_parts, part_row, reading_rows

    for record in reader.newest_first(LATE_READINGS, filters):
        for part in late_parts(record, filters, series_of):
            if readings:
                yield from reading_rows(part, filters)
            else:
                yield part_row(part)
