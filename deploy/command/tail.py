"""`tidemark tail`: any topic of Tidemark, decoded."""

from itertools import islice
from typing import Annotated

import typer

from deploy.command import choosing

EXAMPLE = "Example: tidemark tail alert-events --since 1h --gateway 'gw-*' --no-follow --json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tail", rich_help_panel="Looking", epilog=EXAMPLE)(tail)


def tail(
    topic: Annotated[
        str, typer.Argument(help="A topic, its prefix and version may be left out: readings, alert-events.")
    ],
    *,
    since: choosing.Since = None,
    until: choosing.Until = None,
    site: choosing.Site = None,
    gateway: choosing.Gateway = None,
    series: choosing.Series = None,
    reason: choosing.Reason = None,
    limit: Annotated[int | None, typer.Option("--limit", "--max", min=1, help="End after so many records.")] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Begin with the oldest record.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Go on with what comes, or end at the newest record.")
    ] = True,
    as_json: choosing.Json = False,
    as_csv: choosing.Csv = False,
) -> None:
    """Show a topic's records as they come, decoded, oldest first; from now on, or from --since, or --from-beginning.

    In readings, a record's time is the earliest event time in it, and --since and --until mean that. With --until it
    ends at the newest record.
    """
    from connectors.kit.settings import load_settings
    from connectors.wire.topics import DEAD_LETTERS, KAFKA_TOPICS
    from deploy.local.decode import full_name
    from deploy.records.output import lines
    from deploy.records.read import Reader
    from deploy.records.shown import COLUMNS, shown, shown_text, takes
    from deploy.records.tables import Tables

    form = choosing.form_of(as_json, as_csv)
    try:
        name = full_name(topic)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="TOPIC") from error
    if reason and name != DEAD_LETTERS:
        raise typer.BadParameter("only records of dead-letters have a reason", param_hint="--reason")
    settings = load_settings()
    event_time = any(known.name == name and known.stamp == "event" for known in KAFKA_TOPICS)
    options = {"site": site, "gateway": gateway, "series": series, "reason": reason}
    filters = choosing.chosen(settings, since=since, until=until, event_time=event_time, **options)
    with Reader(settings.kafka) as reader, Tables(settings.kafka) as tables:
        spans = reader.spans(name, filters.since_ms)
        from_the_past = from_beginning or filters.has_times
        begin = {number: low if from_the_past else high for number, (low, high) in spans.items()}
        found = reader.forwards(name, begin, None if follow and until is None else spans)
        wanted = (record for record in found if takes(filters, record, tables.find))
        for line in lines(map(shown, islice(wanted, limit)), form, COLUMNS, shown_text):
            print(line, flush=True)
