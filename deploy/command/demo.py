"""`tidemark demo`: the whole pipeline at work, and a report of what it found."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from deploy.demo.plan import Plan
    from deploy.demo.run import Outcome

FOLDER = Path("var/demo")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", rich_help_panel="The stack")(demo)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running at the end.")] = False,
    seed: Annotated[int | None, typer.Option(help="Of the simulated fleet. Default: today's date.")] = None,
    weeks: Annotated[int, typer.Option(min=1, max=11, help="How much of the recording; 11 is all of it.")] = 11,
    minutes: Annotated[float, typer.Option(min=0.1, help="In how many minutes.")] = 4.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report on standard output.")] = False,
) -> None:
    """Run eleven weeks of a real machine and a simulated fleet in minutes, on data and ports of its own.

    The result is in var/demo: report.json and machine_temperature.png. Exit code 1 when anything is lost or nothing is
    found. Example: tidemark demo --weeks 2 --minutes 1
    """
    began_ms = _began_ms()
    from deploy.books.keys import BooksError
    from deploy.command.exits import CommandFailed
    from deploy.demo.plan import make_plan
    from deploy.demo.progress import Progress
    from deploy.demo.run import DemoFailed, run
    from deploy.demo.subscriber import SubscriberFailed
    from deploy.demo.view import make_view

    plan = make_plan(int(time.time() * 1000), seed, weeks, minutes)
    progress = Progress()
    try:
        with make_view(plan, progress) as view:
            outcome = run(plan, FOLDER.absolute(), view, progress, began_ms=began_ms, keep=keep)
    except (DemoFailed, SubscriberFailed, BooksError) as error:
        raise CommandFailed(f"the demo failed: {error}") from error
    if as_json:
        import msgspec

        print(msgspec.json.encode(outcome.report).decode())
    _show(plan, outcome, keep)
    if outcome.report["failures"]:
        raise typer.Exit(1)


def _began_ms() -> float:
    """Return the wall time at which this process started, which is when the user pressed Enter, or nearly so."""
    import psutil

    return psutil.Process().create_time() * 1000


def _show(plan: "Plan", outcome: "Outcome", keep: bool) -> None:
    from rich.console import Console

    from deploy.demo.summary import summary

    console = Console(stderr=True, highlight=False)
    console.print(
        summary(plan, outcome.report, _shown(outcome.folder), _addresses(outcome) if keep else {}), soft_wrap=True
    )


def _shown(folder: Path) -> Path:
    """Return the folder as people would type it."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def _addresses(outcome: "Outcome") -> dict[str, Any]:
    settings = outcome.stack.settings
    return {
        "Flink": f"http://{settings.flink.rest}",
        "InfluxDB": settings.influxdb.url,
        "Kafka": settings.kafka.bootstrap,
        "MQTT": f"{settings.mqtt.host}:{settings.mqtt.port}",
    }
