"""`tidemark discover`: listen to devices that speak a form of their own, and propose a mapping for them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from connectors.mapping.discover.discovery import Discovery
    from connectors.mapping.discover.heard import Heard
    from connectors.mapping.discover.preview import Preview

_EXAMPLE = "Example: tidemark discover --topic 'tele/#' --seconds 60 --out mappings.yaml"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("discover", epilog=_EXAMPLE, rich_help_panel="Looking")(discover)


def discover(
    *,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to listen.")] = 30.0,
    topic: Annotated[
        list[str] | None, typer.Option("--topic", help="MQTT topic filter; may be repeated. Default: all topics.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the proposed mapping file there; else it goes to standard output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write --out though there is a file already.")] = False,
    mapping: Annotated[
        Path | None, typer.Option("--try", help="Propose nothing: show what this mapping file makes of the messages.")
    ] = None,
    site: Annotated[str, typer.Option(help="Site of the proposed mappings.")] = "site-1",
    gateway: Annotated[
        str, typer.Option(help="Gateway of all proposed mappings. Default: named after the devices' kind.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print proposal, preview and the rest as one object.")
    ] = False,
) -> None:
    """Listen to the broker, propose a mapping file for what devices publish, and show what it would make of it.

    Nothing is changed at the broker. Exit code 1 when nothing was heard, or nothing that could be mapped.
    """
    from connectors.kit.settings import load_settings
    from connectors.mapping.discover.discovery import Discovery
    from connectors.mapping.discover.discovery import discover as propose
    from connectors.mapping.discover.preview import preview
    from connectors.mapping.load import load_mappings, parse_mappings
    from deploy.command.exits import CommandFailed
    from deploy.command.listening import listen
    from deploy.local.gate.running import with_login

    settings = with_login(load_settings())
    _check_names(site, gateway)
    _check_filters(topic or [])
    tried = load_mappings(mapping) if mapping is not None else None
    if out is not None and out.exists() and not force:
        raise CommandFailed(f"{out} is there already; name another file, or add --force")
    filters = topic or (list(tried.filters) if tried is not None else ["#"])
    heard = listen(settings.mqtt, filters, seconds, settings.clock.build().now_ms)
    if not heard.messages:
        raise CommandFailed(
            f"nothing was published on {', '.join(filters)} at {settings.mqtt.host}:{settings.mqtt.port} within "
            f"{seconds:g} s; listen longer (--seconds), or to other topics (--topic)"
        )
    found = propose(heard, site, gateway) if tried is None else Discovery()
    mappings = tried if tried is not None else parse_mappings(found.text) if found.text else None
    shown = preview(heard, mappings) if mappings is not None else None
    if out is not None and found.text:
        out.write_text(found.text, encoding="utf-8")
    if as_json:
        _print_json(heard, found, shown)
    else:
        _print_text(heard, found, shown, out)
    if shown is None:
        raise CommandFailed("no mapping can be proposed for what was heard; the reasons are above")


def _check_names(site: str, gateway: str) -> None:
    from connectors.mapping.expression import checked_name
    from connectors.mapping.refusal import Refusal

    for kind, name in (("site", site), ("gateway", gateway or "x")):
        try:
            checked_name(kind, name)
        except Refusal as refusal:
            raise typer.BadParameter(refusal.detail, param_hint=f"--{kind}") from refusal
        if set("{}") & set(name):
            raise typer.BadParameter(f"{name!r} holds a brace", param_hint=f"--{kind}")


def _check_filters(filters: list[str]) -> None:
    from connectors.mapping.topics import is_filter

    for one in filters:
        if not is_filter(one):
            raise typer.BadParameter(
                f"{one!r} is no MQTT topic filter; # is a last level, + any level", param_hint="--topic"
            )


def _print_json(heard: "Heard", found: "Discovery", shown: "Preview | None") -> None:
    import msgspec

    report = {
        "messages": heard.messages,
        "topics": len(heard.topics()),
        "messages_left_out": heard.topics_left_out,
        "mapping_file": found.text,
        "proposals": [{**one.mapping, "notes": one.notes} for one in found.proposals],
        "not_mapped": found.unmapped,
        "preview": shown,
    }
    print(msgspec.json.encode(report).decode())


def _print_text(heard: "Heard", found: "Discovery", shown: "Preview | None", out: Path | None) -> None:
    """Print the file where it can be redirected, and what is for people beside it."""
    from deploy.command.discovered import print_discovered

    to_file = bool(found.text) and out is None
    if to_file:
        sys.stdout.write(found.text)
        sys.stdout.flush()
    print_discovered(heard, found, shown, on_stderr=to_file, out=out if found.text else None)
