"""`tidemark replay`: recorded CSV files as one gateway."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from connectors.wire.series import SeriesTable
    from simulators.replay import Recording

_EXAMPLE = (
    "Examples: tidemark replay machine.csv --device press-3 --quantity temperature --unit Cel --own-stack var/own-data "
    "· tidemark replay machine.csv --gateway hall-2 --shift-days 4520"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=_EXAMPLE)(replay)


def replay(
    *,
    files: Annotated[list[Path], typer.Argument(help="CSV files: a header, a time column, numeric columns.")],
    gateway: Annotated[str, typer.Option(help="Name of the gateway.")] = "replay",
    device: Annotated[str | None, typer.Option(help="Name of the device, for one file. Default: the file's.")] = None,
    quantity: Annotated[str, typer.Option(help="Name for the column of files that have one.")] = "",
    columns: Annotated[str, typer.Option(help="Columns to send, comma-separated. Default: all.")] = "",
    unit: Annotated[str, typer.Option(help="Unit of SenML's registry, such as Cel.")] = "",
    shift_days: Annotated[int, typer.Option(help="Whole days by which the recorded times are moved.")] = 0,
    site: Annotated[str, typer.Option(help="Site in the topics.")] = "site-1",
    own_stack: Annotated[
        Path | None,
        typer.Option(
            help="Start a stack of its own in this folder, on a clock that follows the recording, and leave it "
            "running. What an earlier replay left there is deleted."
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(min=0.01, help="With --own-stack: how long the recording takes, if that can be carried.")
    ] = 1.0,
    window_s: Annotated[
        float | None,
        typer.Option(min=0.1, help="With --own-stack: seconds of a window. Default: some three readings of a series."),
    ] = None,
    outbox: Annotated[
        Path | None, typer.Option(help="Folder of the outbox. Default: replay/ in the stack's data folder.")
    ] = None,
    drain: Annotated[float, typer.Option(min=0, help="Seconds to wait for the last acknowledgements.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Send recorded readings, a pack for each window, once the clock of the settings has passed its end.

    A running stack lives in the present: what was recorded in the past is sent at once and comes late, so it is kept
    but not judged; what --shift-days moves ahead is sent when its time comes, and judged. To see what Tidemark finds in
    a recording, give it a stack of its own: --own-stack.
    """
    from connectors.kit.settings import SettingsError, load_settings
    from connectors.wire.topics import DAY_MS
    from deploy.command.exits import EXIT_USAGE
    from deploy.command.sending import complain, send, show
    from deploy.local.gate.running import with_login
    from simulators.device import OutboxError
    from simulators.fleet.run import Gateways, broker_of, build_devices
    from simulators.replay import RecordingError, replay_packs

    _check_usage(site, gateway, own_stack, outbox)
    try:
        recordings, table = _recordings(files, device, quantity, columns, unit)
        if own_stack is not None:
            from deploy.command.replaying import replay_alone

            code = replay_alone(
                recordings,
                table,
                (site, gateway),
                own_stack,
                minutes=minutes,
                window_s=window_s,
                shift_ms=shift_days * DAY_MS,
                drain_s=drain,
                as_json=as_json,
            )
            raise typer.Exit(code)
        settings = with_login(load_settings())
        setup = Gateways(site=site, outboxes=outbox or settings.stack.data / "replay")
        clock = settings.clock.build()
        senders = build_devices({gateway: table}, setup, broker_of(settings.mqtt), clock)
    except (SettingsError, OutboxError, RecordingError, ValueError) as error:
        complain(str(error))
        raise typer.Exit(EXIT_USAGE) from error
    packs = replay_packs(recordings, table, grid_ms=settings.time.grid_ms, shift_ms=shift_days * DAY_MS)
    report, code = send(senders, packs, clock, drain)
    show({**report, "files": [str(path) for path in files], "gateway": gateway}, as_json)
    raise typer.Exit(code)


def _check_usage(site: str, gateway: str, own_stack: Path | None, outbox: Path | None) -> None:
    from connectors.mapping.expression import checked_name
    from connectors.mapping.refusal import Refusal

    for kind, name in (("site", site), ("gateway", gateway)):
        try:
            checked_name(kind, name)
        except Refusal as refusal:
            raise typer.BadParameter(refusal.detail, param_hint=f"--{kind}") from refusal
    if own_stack is not None and outbox is not None:
        raise typer.BadParameter(
            "a replay on a stack of its own keeps its outbox in that folder", param_hint="--outbox"
        )


def _recordings(
    files: list[Path], device: str | None, quantity: str, columns: str, unit: str
) -> "tuple[list[Recording], SeriesTable]":
    from simulators.replay import RecordingError, read_recording, recording_table

    if device is not None and len(files) > 1:
        raise RecordingError("--device names one device, but there are several files; leave it out")
    wanted = [name.strip() for name in columns.split(",") if name.strip()]
    recordings = [read_recording(path, wanted) for path in files]
    return recordings, recording_table(recordings, [device or path.stem for path in files], unit, quantity)
