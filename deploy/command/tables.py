"""Tables for people, on standard output. They honour NO_COLOR, and are plain where output is no terminal."""

from rich.console import Console
from rich.table import Table

from deploy.local.status import JobStatus, Learning, PartStatus, StackStatus

COLOURS = {"healthy": "green", "running": "green", "unhealthy": "red", "restarting": "red", "starting": "yellow"}


def print_status(status: StackStatus) -> None:
    """Print the stack's state."""
    console = Console(highlight=False, soft_wrap=True)
    if not status.up:
        console.print(f"no stack runs in {status.folder}; start it: tidemark up")
    console.print(_parts_table(status.parts))
    for job in status.jobs:
        console.print(f"job {job.name}: {_coloured(job.state)}, {_job_line(job)}")
    if status.up and not status.jobs:
        console.print("job: none")
    if status.learning is not None:
        console.print(learning_line(status.learning))
    if status.up:
        console.print(f"memory of all processes together (PSS): {status.pss_mib:,.0f} MiB; folder {status.folder}")


def _coloured(state: str) -> str:
    colour = COLOURS.get(state)
    return f"[{colour}]{state}[/]" if colour else state


def _parts_table(parts: list[PartStatus]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("part", "state"):
        table.add_column(column)
    for column in ("pid", "up", "MiB"):
        table.add_column(column, justify="right")
    table.add_column("address")
    for part in parts:
        runs = part.pid is not None
        numbers = (str(part.pid), duration(part.uptime_s), f"{part.pss_mib:,.0f}") if runs else ("", "", "")
        where = part.problem or part.address
        table.add_row(part.name, _coloured(part.state), *numbers, where)
    return table


def _job_line(job: JobStatus) -> str:
    said = [f"up {duration(job.uptime_s)}", f"{job.restarts} restarts", f"{job.checkpoints} checkpoints"]
    if job.last_checkpoint_ms_ago is not None:
        said.append(
            f"the last {job.last_checkpoint_ms_ago / 1000:.1f} s ago ({job.last_checkpoint_bytes / 1024:,.0f} KiB)"
        )
    if job.failed_checkpoints:
        said.append(f"{job.failed_checkpoints} failed")
    lag = "none yet" if job.watermark_lag_ms is None else f"{job.watermark_lag_ms / 1000:.1f} s behind the clock"
    return ", ".join([*said, f"watermark {lag}"])


def learning_line(learning: Learning) -> str:
    """Say in one line who is still learning.

    >>> learning_line(Learning(series=7, learning=2, windows_left=60, windows=100))
    '2 of 7 series are still learning: the slowest has seen 40 of 100 windows'
    """
    if not learning.learning:
        return f"all {learning.series:,} series are learned"
    verb = "is" if learning.learning == 1 else "are"
    seen = max(0, learning.windows - learning.windows_left)
    return (
        f"{learning.learning:,} of {learning.series:,} series {verb} still learning: "
        f"the slowest has seen {seen} of {learning.windows} windows"
    )


def duration(seconds: int) -> str:
    """Return a time span in words.

    >>> duration(7), duration(187), duration(7325), duration(200_000)
    ('7 s', '3 min 7 s', '2 h 2 min', '2 d 7 h')
    """
    for size, word, smaller, smaller_word in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            return f"{seconds // size} {word} {seconds % size // smaller} {smaller_word}"
    return f"{seconds} s"
