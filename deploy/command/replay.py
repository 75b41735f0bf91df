"""`tidemark replay`: recorded CSV files as one gateway."""

from pathlib import Path
from typing import Annotated

import typer

_EXAMPLE = "Example: tidemark replay machine.csv --gateway hall-2 --device press-3 --quantity temperature --unit Cel"


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
    outbox: Annotated[
        Path | None, typer.Option(help="Folder of the outbox. Default: replay/ in the stack's data folder.")
    ] = None,
    drain: Annotated[float, typer.Option(min=0, help="Seconds to wait for the last acknowledgements.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Send recorded readings, a pack for each cell of the grid, once the clock of the settings has passed its end.

    What lies in the clock's past is sent at once, what lies ahead when its time comes; `[clock]` in the settings sets
    the clock's origin and speed.
    """
    from connectors.kit.settings import SettingsError, load_settings
    from connectors.wire.topics import DAY_MS
    from deploy.command.exits import EXIT_USAGE
    from deploy.command.sending import complain, send, show
    from deploy.local.gate.running import with_login
    from simulators.device import OutboxError
    from simulators.fleet.run import Gateways, broker_of, build_devices
    from simulators.replay import RecordingError, read_recording, recording_table, replay_packs

    try:
        settings = with_login(load_settings())
        if device is not None and len(files) > 1:
            raise RecordingError("--device names one device, but there are several files; leave it out")
        wanted = [name.strip() for name in columns.split(",") if name.strip()]
        recordings = [read_recording(path, wanted) for path in files]
        table = recording_table(recordings, [device or path.stem for path in files], unit, quantity)
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
