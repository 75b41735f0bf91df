"""The life of a service: settings, clock, logs, signals, exit codes."""

import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

from connectors.kit.clock import Clock
from connectors.kit.logs import configure_logs
from connectors.kit.settings import Settings, SettingsError, load_settings

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_SETTINGS = 2
EXIT_UNREACHABLE = 3


class Unreachable(Exception):
    """Something that the service can't work without does not answer; the message names it and its address."""


@dataclass
class Service:
    """What a service's body is given.

    Attributes
    ----------
    stop
        Set by SIGTERM and SIGINT; the body finishes what it holds and returns.
    """

    name: str
    settings: Settings
    clock: Clock
    log: Any
    stop: threading.Event = field(default_factory=threading.Event)


def run_service(name: str, body: Callable[[Service], None]) -> NoReturn:
    """Run `body` until it returns, and exit: 0 done, 1 failed, 2 bad settings, 3 a dependency out of reach."""
    log = configure_logs(name)
    try:
        settings = load_settings()
    except SettingsError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(EXIT_SETTINGS)
    service = Service(name, settings, settings.clock.build(), log)

    def on_signal(number: int, _frame: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        service.stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    try:
        log.info("started")
        body(service)
    except SettingsError as error:  # A file that the settings name, and that the body could not use.
        log.error("settings", detail=str(error))
        sys.exit(EXIT_SETTINGS)
    except Unreachable as error:
        log.error("unreachable", detail=str(error))
        sys.exit(EXIT_UNREACHABLE)
    except Exception:
        log.exception("failed")
        sys.exit(EXIT_FAILURE)
    log.info("stopped")
    sys.exit(EXIT_OK)
