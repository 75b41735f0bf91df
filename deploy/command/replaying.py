"""What `tidemark replay --own-stack` does and says; `replay.py` is the command."""

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from deploy.command.exits import EXIT_FAILURE, EXIT_OK, EXIT_TERMINATED, CommandFailed
from deploy.command.sending import send
from deploy.replaying.plan import make_plan
from deploy.replaying.report import as_report, as_text
from deploy.replaying.run import ReplayFailed, Source
from deploy.replaying.run import replay as run_replay
from simulators.replay import Recording, replay_packs

if TYPE_CHECKING:
    from connectors.kit.clock import Clock
    from connectors.wire.series import SeriesTable
    from simulators.device import Device


def replay_alone(
    recordings: Sequence[Recording],
    table: "SeriesTable",
    home: tuple[str, str],
    folder: Path,
    *,
    minutes: float,
    window_s: float | None,
    shift_ms: int,
    drain_s: float,
    as_json: bool,
) -> int:
    """Replay on a stack of its own, print what came of it, and return the exit code.

    Parameters
    ----------
    home
        Site and gateway.

    Raises
    ------
    RecordingError
        If the recording can't be replayed.
    CommandFailed
        If the replay doesn't come to its end.
    """
    from deploy.books.keys import BooksError

    window_ms = None if window_s is None else round(window_s * 1000)
    plan = make_plan(recordings, window_ms=window_ms, minutes=minutes, shift_ms=shift_ms)
    for note in plan.notes():
        _say(f"note: {note}")

    def sender(devices: "list[Device]", clock: "Clock") -> tuple[dict[str, Any], int]:
        packs = replay_packs(recordings, table, grid_ms=plan.window_ms, shift_ms=shift_ms)
        return send(devices, packs, clock, drain_s)

    # While the stack starts and ends; while readings are sent, `send` takes the signals.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        result = run_replay(plan, folder.absolute(), Source(*home, table), sender, _say)
    except (ReplayFailed, BooksError) as error:
        raise CommandFailed(f"the replay failed: {error}") from error
    if result.books is None:
        _say("the replay was stopped before its end, and its stack with it")
        return result.code
    report = as_report(plan, result)
    sys.stdout.write(json.dumps(report) + "\n" if as_json else as_text(report, folder))
    return EXIT_FAILURE if result.books.violations else EXIT_OK


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(EXIT_TERMINATED)
