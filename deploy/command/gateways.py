"""`tidemark gateways add | list | revoke`: who may come to the embedded broker from beyond loopback."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from connectors.kit.settings import Settings
    from connectors.wire.pack import Status
    from deploy.local.gate.changes import Keeper
    from deploy.local.gate.instructions import Invitation
    from deploy.local.gate.registry import Gateway

ADD_EXAMPLE = (
    "Examples: tidemark gateways add plant-1 pi-7 · tidemark gateways add plant-1 plug-7 --publish 'tele/plug-7/#'"
)
LIST_EXAMPLE = "Example: tidemark gateways list --json"
REVOKE_EXAMPLE = "Example: tidemark gateways revoke pi-7"

app = typer.Typer(help="Who may come in from beyond loopback: add, list, revoke.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option("--data", help="Folder of the stack; else stack.data.", file_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="One JSON value instead of text.")]
NOT_LISTENING = "The broker is on loopback alone until: tidemark up --listen ADDR (or stack.listen in the settings)"


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="gateways", rich_help_panel="The stack")


@app.command(epilog=ADD_EXAMPLE)
def add(
    site: Annotated[str, typer.Argument(help="Site in the gateway's topics.")],
    gateway: Annotated[str, typer.Argument(help="Its name: in its topics, and its user name. One for each device.")],
    *,
    publish: Annotated[
        list[str] | None,
        typer.Option(
            "--publish", help="A further topic filter it may publish on, for mapped devices; may be repeated."
        ),
    ] = None,
    new_password: Annotated[
        bool, typer.Option("--new-password", help="The gateway is there: give it a new password instead.")
    ] = False,
    password_file: Annotated[
        Path | None, typer.Option(help="Write the password there, for its owner alone, and don't show it.")
    ] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Let a gateway in: make its password, which is shown this once, and print what to type on a Raspberry Pi.

    It may publish on its own topics under tidemark/v1/SITE/GATEWAY and read its acknowledgements, and nothing else.
    A broker that runs knows it at once.
    """
    from deploy.command.exits import CommandFailed
    from deploy.local.effective import write_private

    if new_password and publish:
        raise typer.BadParameter(
            "--publish is for a new gateway; revoke this one and add it again to change its topics"
        )
    if password_file is not None and password_file.exists() and not new_password:
        raise CommandFailed(f"{password_file} is there already; name another file")
    keeper, settings = _open(data)
    if new_password:
        password = keeper.renew(site, gateway)
    else:
        password = keeper.add(site, gateway, publish or [], time.time_ns() // 1_000_000)
    if password_file is not None:
        try:
            write_private(password_file, password + "\n")
        except OSError as error:
            again = f"tidemark gateways add {site} {gateway} --new-password"
            raise CommandFailed(f"{password_file} can't be written ({error.strerror}); then: {again}") from error
    invitation = _invitation(keeper, settings, site, gateway, password_file)
    shown = None if password_file is not None else password
    if as_json:
        _print_json(_added(invitation, shown, is_listening=bool(settings.stack.listen)))
    else:
        _print_added(invitation, shown, foreign=bool(publish), is_listening=bool(settings.stack.listen))


@app.command("list", epilog=LIST_EXAMPLE)
def list_gateways(as_json: Json = False, data: Data = None) -> None:
    """List the gateways that may come in, and, while the broker runs, what each last said of itself."""
    keeper, settings = _open(data)
    states = keeper.states()
    rows = [_row(one, states.get((one.site, one.name))) for one in keeper.gate.registry().gateways]
    if as_json:
        _print_json(rows)
        return
    _print_table(rows)
    if not settings.stack.listen:
        print(NOT_LISTENING, file=sys.stderr)


@app.command(epilog=REVOKE_EXAMPLE)
def revoke(
    gateway: Annotated[str, typer.Argument(help="Its name.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Shut a gateway out: its password is good for nothing, its connection ends at once, what it retained is cleared.

    Its readings stay. A broker that does not run knows it when it starts.
    """
    from deploy.command.exits import CommandFailed

    keeper, _ = _open(data)
    keeper.gate.registry().get(gateway)  # a name that isn't there is told before anything is asked
    if not yes:
        if not sys.stdin.isatty():
            raise CommandFailed(f"revoking {gateway} wants --yes where nobody can be asked")
        typer.confirm(f"Shut {gateway} out?", abort=True, err=True)
    gone, cleared = keeper.revoke(gateway)
    if as_json:
        _print_json({"site": gone.site, "gateway": gone.name, "retained_cleared": cleared})
    else:
        at_once = "its connection is closed" if keeper.is_running else "the broker does not run"
        print(f"{gone.name} is revoked; {at_once}. Retained messages cleared: {cleared}")


def _open(data: Path | None) -> "tuple[Keeper, Settings]":
    """Return the keeper and the effective settings, with the listener of the broker that runs, or last ran."""
    from connectors.kit.settings import load_settings
    from deploy.local.effective import effective
    from deploy.local.gate.changes import Keeper
    from deploy.local.gate.running import as_started

    settings = load_settings()
    folder = data or settings.stack.data
    settings = effective(as_started(settings, folder, also_ended=True), folder)
    return Keeper(settings), settings


def _invitation(
    keeper: "Keeper", settings: "Settings", site: str, gateway: str, password_file: Path | None
) -> "Invitation":
    """Make the CA if there is none yet, so that its certificate can be copied now."""
    from connectors.kit.listen import DEFAULT_PORT, ListenAddress, parse_listen
    from deploy.local.gate.instructions import Invitation
    from deploy.local.gate.machine import public_host, this_machine
    from deploy.local.gate.opening import authority_name

    machine = this_machine()
    keeper.gate.authority(datetime.now(UTC), authority_name(machine))
    text = settings.stack.listen
    listen = parse_listen(text) if text else ListenAddress("0.0.0.0", DEFAULT_PORT)  # noqa: S104 (nothing is opened)
    host = public_host(listen, settings.stack.listen_names, machine)
    return Invitation(site, gateway, host, listen.port, keeper.gate.paths.ca, password_file)


def _added(invitation: "Invitation", password: str | None, *, is_listening: bool) -> dict[str, Any]:
    return {
        "site": invitation.site,
        "gateway": invitation.gateway,
        "username": invitation.gateway,
        "password": password,
        "password_file": None if invitation.password_file is None else str(invitation.password_file),
        "host": invitation.host,
        "port": invitation.port,
        "ca_file": str(invitation.ca),
        "listening": is_listening,
        "here": invitation.here(),
        "on_the_pi": invitation.on_the_pi(),
    }


def _print_added(invitation: "Invitation", password: str | None, *, foreign: bool, is_listening: bool) -> None:
    kept = f"in {invitation.password_file}" if password is None else f"{password}   (shown only now)"
    print(f"gateway {invitation.gateway} of site {invitation.site} may come in\n")
    print(f"  broker    mqtts://{_bracketed(invitation.host)}:{invitation.port}, TLS 1.2 or later")
    print(f"  user      {invitation.gateway}")
    print(f"  password  {kept}")
    print(f"  CA        {invitation.ca}")
    if not foreign:
        print(f"\nOn this machine:\n  {invitation.here()}")
        print(f"On the Pi, in Tidemark's folder:\n  {invitation.on_the_pi()}")
    if not is_listening:
        print(f"\n{NOT_LISTENING}", file=sys.stderr)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _row(gateway: "Gateway", status: "Status | None") -> dict[str, Any]:
    return {
        "site": gateway.site,
        "gateway": gateway.name,
        "since_ms": gateway.since_ms,
        "publish": list(gateway.publish),
        "state": None if status is None else status.state,
        "state_since_ms": None if status is None else status.since_ms,
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("site", "gateway", "added", "state", "further topics"):
        table.add_column(column)
    for row in rows:
        state = f"{row['state']} since {_time(row['state_since_ms'])}" if row["state"] else "not heard of"
        table.add_row(row["site"], row["gateway"], _time(row["since_ms"]), state, " ".join(row["publish"]))
    Console(highlight=False, soft_wrap=True, markup=False).print(table if rows else "no gateway was added yet")


def _time(since_ms: int) -> str:
    return f"{datetime.fromtimestamp(since_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _print_json(value: Any) -> None:
    import msgspec

    print(msgspec.json.encode(value).decode())
