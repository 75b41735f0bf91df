"""`tidemark simulate`: a seeded fleet of gateways, which is the load tester too."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from connectors.kit.settings import Settings
    from simulators.fleet import FaultPlan, Fleet

_MOST_GATEWAYS = 200
_EXAMPLE = "Example: tidemark simulate --devices 5000 --rate 100000 --duration 30 --gateways 20 --sync OFF"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=_EXAMPLE)(simulate)


def simulate(
    *,
    devices: Annotated[int, typer.Option(min=1, help="Devices, with two series each.")] = 100,
    rate: Annotated[float, typer.Option(min=0.001, help="Readings a second, of all devices together.")] = 1_000.0,
    duration: Annotated[float, typer.Option(min=0.001, help="Seconds, by the clock of the settings.")] = 60.0,
    seed: Annotated[int | None, typer.Option(help="Fixes every reading and fault. Default: today's date.")] = None,
    faults: Annotated[
        str, typer.Option(help="none, default (every kind), or kinds of spike,shift,drift,stuck,dropout.")
    ] = "none",
    warmup: Annotated[int, typer.Option(min=0, help="Windows before the first fault.")] = 160,
    truth: Annotated[Path | None, typer.Option(help="Write the faults there, as JSON lines.")] = None,
    gateways: Annotated[
        int | None, typer.Option(min=1, max=_MOST_GATEWAYS, help="Gateways. Default: one for 20 devices.")
    ] = None,
    pack: Annotated[int, typer.Option(min=1, max=3000, help="Readings a pack.")] = 100,
    site: Annotated[str, typer.Option(help="Site in the topics.")] = "site-1",
    prefix: Annotated[str, typer.Option(help="First part of the gateways' names.")] = "sim",
    outbox: Annotated[
        Path | None, typer.Option(help="Folder of the outboxes. Default: simulate/ in the stack's data folder.")
    ] = None,
    sync: Annotated[str, typer.Option(help="FULL survives a power cut; OFF a crash of this process alone.")] = "FULL",
    drain: Annotated[float, typer.Option(min=0, help="Seconds to wait for the last acknowledgements.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Send a simulated fleet's readings, and say what was sent, acknowledged, and how long it took.

    Exit code 1 when not everything was acknowledged in the drain time; what is left stays in the outboxes and is sent
    by the next run with the same folder.
    """
    from connectors.kit.settings import SettingsError, load_settings
    from deploy.command.exits import EXIT_USAGE
    from deploy.command.sending import complain, send, show
    from deploy.local.gate.running import with_login
    from simulators.device import OutboxError
    from simulators.fleet.packs import stream_packs
    from simulators.fleet.run import Gateways, broker_of, build_devices
    from simulators.truth import write_truth

    try:
        settings = with_login(load_settings())
        seed = seed if seed is not None else int(datetime.now(UTC).strftime("%Y%m%d"))
        per_gateway = -(-devices // (gateways or min(-(-devices // 20), _MOST_GATEWAYS)))
        fleet = _fleet(
            settings,
            seed=seed,
            devices=devices,
            per_gateway=per_gateway,
            prefix=prefix,
            rate=rate,
            duration=duration,
            plan=_plan(faults, devices, warmup),
        )
        setup = Gateways(
            site=site, outboxes=outbox or settings.stack.data / "simulate", synchronous=_synchronous(sync), seed=seed
        )
        clock = settings.clock.build()
        if truth is not None:
            write_truth(truth, fleet.faults)
        tables = {gateway.name: gateway.table for gateway in fleet.gateways}
        senders = build_devices(tables, setup, broker_of(settings.mqtt), clock)
    except (SettingsError, OutboxError, ValueError) as error:
        complain(str(error))
        raise typer.Exit(EXIT_USAGE) from error
    report, code = send(senders, stream_packs(fleet, pack), clock, drain)
    show({**report, **_about(fleet, pack, truth)}, as_json)
    raise typer.Exit(code)


def _fleet(
    settings: "Settings",
    *,
    seed: int,
    devices: int,
    per_gateway: int,
    prefix: str,
    rate: float,
    duration: float,
    plan: "FaultPlan | None",
) -> "Fleet":
    """Return the fleet; one with faults begins on a window's start, so that the truth is in whole windows."""
    from simulators.fleet import Fleet
    from simulators.fleet.rate import pace

    series = 2
    paced = pace(devices * series, rate, duration, settings.time.window_ms)
    now = settings.clock.build().now_ms()
    step = settings.time.window_ms if plan else 100
    return Fleet(
        seed=seed,
        devices=devices,
        series=series,
        readings_per_window=paced.readings_per_window,
        window_ms=paced.window_ms,
        windows=paced.windows,
        start_ms=-(-now // step) * step,
        devices_per_gateway=per_gateway,
        faults=plan,
        gateway_prefix=prefix,
    )


def _plan(faults: str, devices: int, warmup: int) -> "FaultPlan | None":
    from dataclasses import replace

    from simulators.fleet import FaultPlan
    from simulators.truth import FAULT_KINDS

    if faults == "none":
        return None
    named = FAULT_KINDS if faults == "default" else tuple(faults.split(","))
    kinds = tuple(kind for kind in FAULT_KINDS if kind in named)
    unknown = set(named) - set(FAULT_KINDS)
    if unknown:
        msg = f"--faults: {', '.join(sorted(unknown))} is none of {', '.join(FAULT_KINDS)}, default, none"
        raise ValueError(msg)
    return replace(FaultPlan.default(devices, kinds), warmup=warmup)


def _synchronous(sync: str) -> Any:
    if sync not in {"FULL", "NORMAL", "OFF"}:
        msg = f"--sync: {sync} is none of FULL, NORMAL, OFF"
        raise ValueError(msg)
    return sync


def _about(fleet: "Fleet", pack: int, truth: Path | None) -> dict[str, Any]:
    about = fleet.describe()
    return {
        "seed": about["seed"],
        "devices": about["devices"],
        "series": about["series"],
        "faults": about["faults"],
        "truth": str(truth) if truth else None,
        "pack": pack,
    }
