"""`tidemark books`: what became of every reading."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from connectors.kit.settings import Settings
    from deploy.books.close import Books


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("books", rich_help_panel="Looking")(books)


def books(
    outboxes: Annotated[
        list[Path] | None,
        typer.Option("--outboxes", help="Folder of gateways' outboxes that kept a ledger; may be repeated."),
    ] = None,
    drained: Annotated[
        bool, typer.Option("--drained", help="Nothing is on its way any more: what is not judged is a fault.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare, reading by reading, what was sent, received, judged, late and dead, and the alerts' ids.

    Without --outboxes the books begin at Kafka. Exit code 1 when something is there that must never be.
    Example: TIDEMARK_SETTINGS=var/demo/settings.toml tidemark books --outboxes var/demo/outboxes
    """
    import msgspec

    from connectors.kit.settings import load_settings
    from deploy.books.keys import BooksError
    from deploy.books.table import as_text
    from deploy.command.exits import CommandFailed

    try:
        closed = _close(load_settings(), outboxes or [], drained)
    except BooksError as error:
        raise CommandFailed(str(error)) from error
    print(msgspec.json.encode(closed.as_json()).decode() if as_json else as_text(closed))
    if closed.violations:
        raise typer.Exit(1)


def _close(settings: "Settings", outboxes: list[Path], drained: bool) -> "Books":
    from deploy.books.close import close_books
    from deploy.books.devices import enter_outboxes, outboxes_in
    from deploy.books.entries import Entries
    from deploy.books.influx import influx_event_ids
    from deploy.books.read import enter_topics

    entries = Entries()
    for folder in outboxes:
        enter_outboxes(entries.with_devices(), outboxes_in(folder))
    entries.influx_events = influx_event_ids(settings.influxdb)
    enter_topics(entries, settings.kafka)
    return close_books(entries, settings.topics.shards, settings.time.window_ms, drained=drained)
