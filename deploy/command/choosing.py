"""Options that several subcommands share: which records, how many, and how they are shown."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from connectors.kit.settings import Settings
    from deploy.records.filters import Filters
    from deploy.records.output import Form

Since = Annotated[
    str | None, typer.Option("--since", help="Written since: 15m, 2h or 3d ago, or 2026-03-01T10:15:00Z.")
]
Until = Annotated[str | None, typer.Option("--until", help="Written before; as --since.")]
Site = Annotated[list[str] | None, typer.Option("--site", help="Site, a glob; may be repeated.")]
Gateway = Annotated[list[str] | None, typer.Option("--gateway", help="Gateway, a glob; may be repeated.")]
Series = Annotated[list[str] | None, typer.Option("--series", help="device/quantity, a glob; may be repeated.")]
Reason = Annotated[list[str] | None, typer.Option("--reason", help="Why it is dead; may be repeated.")]
Service = Annotated[
    list[str] | None, typer.Option("--service", help="Who refused it: bridge, job, influxdb, notifier; repeatable.")
]
Limit = Annotated[int, typer.Option("--limit", min=0, help="How many, the newest first; 0 for all.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Csv = Annotated[bool, typer.Option("--csv", help="CSV, the first line of which names the columns.")]


def chosen(
    settings: "Settings",
    *,
    since: str | None,
    until: str | None,
    site: Sequence[str] | None,
    gateway: Sequence[str] | None,
    series: Sequence[str] | None,
    reason: Sequence[str] | None = None,
    service: Sequence[str] | None = None,
    event_time: bool = False,
) -> "Filters":
    """Return the filters that the options ask for.

    Parameters
    ----------
    event_time
        Whether the topic's stamps are event time: then "ago" is counted from the settings' clock.

    Raises
    ------
    typer.BadParameter
        A time that is none, an empty range, or a reason that no letter can have.
    """
    from deploy.records.filters import Filters

    now_ms = settings.clock.build().now_ms() if event_time else time.time_ns() // 1_000_000
    since_ms, until_ms = _time("--since", since, now_ms), _time("--until", until, now_ms)
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise typer.BadParameter("--since must be before --until")
    return Filters(
        since_ms=since_ms,
        until_ms=until_ms,
        sites=tuple(site or ()),
        gateways=tuple(gateway or ()),
        series=tuple(series or ()),
        reasons=frozenset(_reasons(reason or ())),
        services=frozenset(service or ()),
    )


def form_of(as_json: bool, as_csv: bool) -> "Form":
    """Return how to show rows; raises `typer.BadParameter` if both are asked for."""
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other")
    return "json" if as_json else "csv" if as_csv else "text"


def say_if_more(rest: Iterator[object], limit: int) -> None:
    """Tell people that the list was cut off."""
    if limit and next(rest, None) is not None:
        print(f"the newest {limit}; there are more: --limit 0 shows all", file=sys.stderr)


def _time(option: str, text: str | None, now_ms: int) -> int | None:
    from deploy.records.times import parse_time

    try:
        return None if text is None else parse_time(text, now_ms)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _reasons(reasons: Iterable[str]) -> list[str]:
    from typing import get_args

    from connectors.wire.ledger import DeadReason

    known = get_args(DeadReason)
    for reason in reasons:
        if reason not in known:
            raise typer.BadParameter(f"no letter has the reason {reason}; there are {', '.join(known)}")
    return list(reasons)
