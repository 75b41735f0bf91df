"""`tidemark up`, `down`, `status` and `logs`: the embedded stack."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from deploy.command.exits import EXIT_FAILURE, EXIT_OK, EXIT_TERMINATED

if TYPE_CHECKING:
    from connectors.kit.settings import Settings
    from deploy.local.stack import Stack

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the stack; else stack.data of the settings (var).", file_okay=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("up", rich_help_panel="The stack")(up)
    app.command("down", rich_help_panel="The stack")(down)
    app.command("status", rich_help_panel="The stack")(status)
    app.command("logs", rich_help_panel="The stack")(logs)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def open_stack(data: Path | None, listen: str | None = None) -> "Stack":
    """Return the stack of the settings, in `data` if one is named.

    `listen` counts instead of `stack.listen`; a broker that runs keeps the listener that it was started with.
    """
    from connectors.kit.settings import load_settings
    from deploy.local.gate.running import as_started
    from deploy.local.stack import Stack

    settings = load_settings()
    folder = data or settings.stack.data
    if listen is not None:
        settings = settings.model_copy(update={"stack": settings.stack.model_copy(update={"listen": listen})})
    started = as_started(settings, folder)
    if listen is not None:
        _refuse_another(settings, started)
    return Stack(started, folder, _say)


def _refuse_another(wanted: "Settings", started: "Settings") -> None:
    from connectors.kit.listen import parse_listen
    from deploy.command.exits import CommandFailed

    listen = started.stack.listen
    if not listen or parse_listen(listen) != parse_listen(wanted.stack.listen):
        where = f"at {parse_listen(listen)}" if listen else "on loopback alone"
        raise CommandFailed(f"the broker runs and listens {where}; tidemark down, and then up with --listen")


def _an_address(text: str | None) -> str | None:
    from connectors.kit.listen import parse_listen

    if text is not None:
        try:
            parse_listen(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    return text


def _on_terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(EXIT_TERMINATED)


def up(
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete all data of the stack first.")] = False,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="ADDR[:PORT]",
            callback=_an_address,
            help="Let gateways reach the broker there by TLS, each with its password; else stack.listen. "
            "0.0.0.0 is every address; the port is 8883.",
        ),
    ] = None,
    data: Data = None,
) -> None:
    """Start everything and say where it is. What runs already is left alone.

    The job goes on from its newest retained checkpoint. Examples: tidemark up --data /srv/tidemark,
    tidemark up --listen 192.168.1.5
    """
    stack = open_stack(data, listen)
    was_up = stack.is_up()
    signal.signal(signal.SIGTERM, _on_terminate)
    try:
        stack.start(fresh=fresh)
    except BaseException:
        # Failed, interrupted or terminated: nothing half-started is left behind.
        if not was_up:
            stack.stop()
        raise
    _print_where(stack)


def _print_where(stack: "Stack") -> None:
    from deploy.local.programs import spell_out

    print("\nThe stack is up. Where things are:")
    for name in spell_out(stack.settings.stack.parts):
        if address := stack.parts[name].address:
            print(f"  {name:<16} {address}")
    print(f"  {'data, logs':<16} {stack.folder}")
    print("\nNext: tidemark status · tidemark simulate --help · tidemark tail alert-events · tidemark down")


def down(data: Data = None) -> None:
    """Stop everything, services first and Kafka last; data stay."""
    stack = open_stack(data)
    if not stack.layout.run.exists():
        _say(f"no stack was ever started in {stack.folder}")
        return
    stack.stop()
    _say("stopped; tidemark up goes on where it was")


def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
    data: Data = None,
) -> None:
    """Show each part, the job, and what is still being learned. Exit code 1 unless all that shall run is healthy."""
    import msgspec

    from deploy.command.tables import print_status
    from deploy.local.programs import spell_out
    from deploy.local.status import stack_status

    stack = open_stack(data)
    found = stack_status(stack)
    if as_json:
        print(msgspec.json.encode(found).decode())
    else:
        print_status(found)
    wanted = set(spell_out(stack.settings.stack.parts))
    well = all(part.state == "healthy" for part in found.parts if part.name in wanted)
    raise typer.Exit(EXIT_OK if well else EXIT_FAILURE)


def logs(
    part: Annotated[str | None, typer.Argument(help="A part, as `tidemark status` names it; else all of them.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines of each log.")] = 20,
    data: Data = None,
) -> None:
    """Show the end of the logs. Example: tidemark logs bridge -f."""
    from deploy.command.exits import CommandFailed
    from deploy.local.logs import follow_logs
    from deploy.local.stack import SUPERVISOR

    stack = open_stack(data)
    names = [*stack.parts, SUPERVISOR]
    if part is not None and part not in names:
        raise CommandFailed(f"no part is called {part}; there are {', '.join(names)}")
    chosen = names if part is None else [part]
    for name in chosen:
        for line in stack.log_tail(name, lines).splitlines() if lines else []:
            print(line if part else f"{name:<16} {line}")
    if follow:
        for name, line in follow_logs({name: stack.log_file(name) for name in chosen}):
            print(line if part else f"{name:<16} {line}", flush=True)
