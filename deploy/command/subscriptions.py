"""`tidemark subscriptions check | test`: whether the subscriptions can be used, and whether a channel delivers."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from connectors.kit.settings import Settings
    from connectors.notifier.channels import Outcome
    from connectors.notifier.subscriptions import Subscription
    from connectors.wire.alert import AlertEvent

CHECK_EXAMPLE = "Example: tidemark subscriptions check --file subscriptions.yaml"
TEST_EXAMPLE = "Example: tidemark subscriptions test operations"

app = typer.Typer(help="Who is told what: check the file, and try a channel.", no_args_is_help=True)

File = Annotated[Path | None, typer.Option("--file", help="The file. Default: the one that the notifier reads.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="subscriptions", rich_help_panel="Looking")


@app.command(epilog=CHECK_EXAMPLE)
def check(file: File = None, as_json: Json = False) -> None:
    """Say what the file means. Exit code 2 with every mistake and its line if it can't be used."""
    import msgspec

    path, subscriptions, _ = _load(file)
    if not as_json:
        print(f"{path}: {len(subscriptions)} subscriptions", file=sys.stderr)
    for one in subscriptions:
        row = {"name": one.name, "match": one.match.model_dump(exclude_defaults=True), **_channel(one)}
        print(msgspec.json.encode(row).decode() if as_json else _line(row))


@app.command("test", epilog=TEST_EXAMPLE)
def try_out(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Subscriptions of the file; one or more.")],
    file: File = None,
    as_json: Json = False,
) -> None:
    """Send one made-up alert to each, now and once, whatever it matches. Exit code 1 if one does not arrive.

    It goes past the notifier: nothing is tried again, and nothing is kept of it.
    """
    import json
    import time

    from deploy.command.exits import EXIT_FAILURE, CommandFailed

    path, subscriptions, settings = _load(file)
    known = {one.name: one for one in subscriptions}
    if unknown := [name for name in names if name not in known]:
        raise CommandFailed(f"{path} has no subscription {', '.join(unknown)}; there are {', '.join(known) or 'none'}")
    event = made_up_event(time.time_ns() // 1_000_000)
    failed = False
    for name in dict.fromkeys(names):
        outcome = _send(known[name], event, settings)
        failed = failed or outcome.reason is not None
        row = {"name": name, "delivered": outcome.reason is None, "reason": outcome.reason, "detail": outcome.detail}
        said = f"{name}: delivered" if outcome.reason is None else f"{name}: {outcome.reason}: {outcome.detail}"
        print(json.dumps(row) if as_json else said)
    if failed:
        raise typer.Exit(EXIT_FAILURE)


def made_up_event(now_ms: int) -> "AlertEvent":
    """Return an alert that says of itself that it is a test; each has an id of its own."""
    from connectors.wire.alert import AlertEvent, alert_id, event_id

    alert = alert_id("test", "test", "test", "test", now_ms)
    return AlertEvent(
        event_id=event_id(alert, "raised", now_ms),
        alert_id=alert,
        transition="raised",
        severity="low",
        site="test",
        gateway="test",
        device="test",
        quantity="test",
        rule_id="test",
        detector="test",
        raised_ms=now_ms,
        window_start_ms=now_ms,
        window_end_ms=now_ms,
        detail="This is a test by tidemark subscriptions test. Nothing is wrong.",
    )


def _load(file: Path | None) -> "tuple[Path, tuple[Subscription, ...], Settings]":
    from connectors.kit.settings import load_settings
    from connectors.notifier.subscriptions import load_subscriptions
    from deploy.local.effective import effective

    settings = load_settings()
    path = file or effective(settings, settings.stack.data).notifier.subscriptions_file
    return path, load_subscriptions(path), settings


def _send(subscription: "Subscription", event: "AlertEvent", settings: "Settings") -> "Outcome":
    from connectors.notifier.channels.build import build_channel
    from connectors.notifier.message import message
    from connectors.notifier.service import SOURCE

    channel = build_channel(subscription, settings.mqtt)
    try:
        return channel.send(message(event, subscription.name, SOURCE))
    finally:
        channel.close()


def _channel(subscription: "Subscription") -> dict[str, str]:
    """Return where it goes, without what may be secret: an Apprise URL is one."""
    channel = subscription.channel
    where = next((str(value) for name in ("url", "topic", "path") if (value := getattr(channel, name, None))), "")
    return {"channel": channel.type, "to": "(secret)" if channel.type == "apprise" else where}


def _line(row: dict[str, Any]) -> str:
    wanted = ", ".join(
        f"{key} {' '.join(value) if isinstance(value, tuple) else value}" for key, value in row["match"].items()
    )
    return f"  {row['name']:<20} {row['channel']:<8} {row['to']}  ({wanted or 'everything'})"
