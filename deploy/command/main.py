"""The `tidemark` command. Files of this folder add their subcommands, which import what they need when they run."""

import importlib
import os
import sys
from typing import Annotated, NoReturn

import typer

from deploy.command.exits import EXIT_INTERRUPTED, EXIT_OK, exit_code

MODULES = (
    "stack",
    "gateways",
    "doctor",
    "tail",
    "discover",
    "deadletters",
    "late",
    "subscriptions",
    "job",
    "simulate",
    "replay",
    "demo",
    "books",
)
"""Files of this folder that have subcommands; each has `register(app)`. The order is that of the help."""

EXITS = "Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 something can't be reached, 130 interrupted."

app = typer.Typer(
    name="tidemark",
    help="Watch fleets of sensors: MQTT in, anomalies found in event time, alerts out.",
    epilog=EXITS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tidemark {version('tidemark')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Watch fleets of sensors: MQTT in, anomalies found in event time, alerts out.

    Settings come from tidemark.toml (or the file that TIDEMARK_SETTINGS names) and from the environment, for example
    TIDEMARK_KAFKA__BOOTSTRAP=host:9092.
    """


def _register() -> None:
    for name in MODULES:
        importlib.import_module(f"deploy.command.{name}").register(app)


def main() -> NoReturn:
    """Run the command and exit with one of the documented codes; errors go to standard error."""
    try:
        _register()
        app()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Who read our output has read enough; the interpreter must not try to flush the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_OK)
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        print(f"tidemark: {error}", file=sys.stderr)
        sys.exit(code)
    sys.exit(EXIT_OK)


if __name__ == "__main__":
    main()
