"""`tidemark job package | submit | stop | list | savepoint`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from connectors.kit.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the stack; else stack.data of the settings (var).", file_okay=False),
]

app = typer.Typer(help="Package, submit, stop and list the Flink job.", no_args_is_help=True)


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="job", rich_help_panel="The stack")


@app.command()
def package(
    target: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("var/job.zip"), as_json: Json = False
) -> None:
    """Zip what the job's workers import, for `flink run -pyfs`. The same sources give the same bytes."""
    from deploy.local.flink.package import package as write

    path = write(target)
    _show({"package": str(path), "bytes": path.stat().st_size}, as_json, str(path))


@app.command()
def submit(
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over, without any state.")] = False,
    savepoint: Annotated[str | None, typer.Option("--from", help="Checkpoint or savepoint to go on from.")] = None,
    python: Annotated[
        str, typer.Option("--python", help="The workers' Python, on the task managers.")
    ] = sys.executable,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Submit the job and wait until it works.

    It goes on from its newest checkpoint or savepoint. Example: tidemark job submit --from file:///srv/savepoint-1
    """
    from deploy.local.flink import submit as flink

    if fresh and savepoint:
        raise typer.BadParameter("--fresh and --from exclude each other")
    done = flink.submit(_settings(data), fresh=fresh, savepoint=savepoint, python=python, echo=_say)
    fields = {
        "job": done.job_id,
        "restored_from": done.restored_from,
        "client_seconds": done.client_s,
        "start_seconds": done.start_s,
    }
    _show(fields, as_json, f"the job works: {done.job_id}, {done.client_s + done.start_s:.0f} s")


@app.command()
def stop(data: Data = None, as_json: Json = False) -> None:
    """Stop the job with a savepoint, from which the next submit goes on."""
    from deploy.local.flink import submit as flink

    path = flink.stop(_settings(data), _say, by_hand=True)
    _show({"savepoint": path}, as_json, path or "no job runs")


@app.command()
def savepoint(
    folder: Annotated[str | None, typer.Argument(help="URI of the folder to write it to; else the cluster's.")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Take a savepoint of the running job, which runs on."""
    from deploy.command.exits import CommandFailed
    from deploy.local.flink import submit as flink
    from deploy.local.flink.rest import Cluster

    settings = _settings(data)
    cluster = Cluster(settings.flink.rest)
    job = flink.active_job(cluster)
    if job is None:
        raise CommandFailed("no job runs: tidemark job submit")
    path = cluster.savepoint(job.id, folder, stop=False, limit_s=flink.SAVEPOINT_LIMIT_S)
    _show({"job": job.id, "savepoint": path}, as_json, path)


@app.command("list")
def list_jobs(data: Data = None, as_json: Json = False) -> None:
    """List the cluster's jobs, newest first, also those that have ended."""
    from dataclasses import asdict

    from deploy.local.flink.rest import Cluster

    jobs = Cluster(_settings(data).flink.rest).jobs()
    lines = [f"{job.id}  {job.state:<10} {job.running}/{job.total} tasks  {job.name}" for job in jobs]
    _show({"jobs": [asdict(job) for job in jobs]}, as_json, "\n".join(lines) or "no jobs")


def _settings(data: Path | None) -> "Settings":
    from connectors.kit.settings import load_settings
    from deploy.local.effective import effective

    settings = load_settings()
    return effective(settings, data or settings.stack.data)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _show(fields: dict[str, Any], as_json: bool, text: str) -> None:
    import msgspec

    print(msgspec.json.encode(fields).decode() if as_json else text, flush=True)
