"""The `tidemark-pi` command. argparse and not typer, which with its own imports would take a tenth of the memory."""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from deploy.command.exits import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE
from deploy.raspberrypi.config import DEFAULT_FILE, ConfigError, load_config
from deploy.raspberrypi.wiring import Wiring

_EXITS = "Exit codes: 0 done, 1 failed or something is wrong, 2 wrong usage or config, 3 the broker can't be reached."
_RUN = "Example: tidemark-pi run --config /etc/tidemark-pi/config.toml"
_CHECK = "Example: sudo -u tidemark-pi tidemark-pi check --json"
_INIT = """Example: tidemark-pi init --site plant-1 --gateway pi-7 --host tidemark.example --username pi-7
--ca-file /etc/tidemark-pi/ca.crt --password-file /etc/tidemark-pi/password"""
_MARKS = {"ok": "ok      ", "warning": "warning ", "wrong": "WRONG   ", "unreachable": "NOT HERE"}


def main() -> NoReturn:
    """Run the command."""
    sys.exit(command(sys.argv[1:], Wiring()))


def command(arguments: Sequence[str], wiring: Wiring) -> int:
    """Run the command with what it may touch; return its exit code."""
    chosen = _parser().parse_args(arguments)
    if chosen.root is not None:
        # A recorded tree has no firmware to ask.
        wiring = replace(wiring, root=chosen.root, vcgencmd=None)
    try:
        return int(chosen.action(chosen, wiring))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Who read our output has read enough; the interpreter must not try to flush the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def _run(chosen: argparse.Namespace, wiring: Wiring) -> int:
    from deploy.raspberrypi.notify import Notifier
    from deploy.raspberrypi.run import Agent, AgentFailed
    from deploy.raspberrypi.secret import SecretError
    from simulators.device import OutboxError

    _configure_logs(chosen.verbose)
    config = load_config(chosen.config)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        Agent(config, wiring, Notifier()).run(stop)
    except SecretError as error:
        print(f"tidemark-pi: {error}", file=sys.stderr)
        return EXIT_USAGE
    except (OutboxError, AgentFailed, OSError) as error:
        print(f"tidemark-pi: {error}", file=sys.stderr)
        return EXIT_FAILURE
    return EXIT_OK


def _check(chosen: argparse.Namespace, wiring: Wiring) -> int:
    from deploy.raspberrypi.check import examine

    findings, code = examine(chosen.config, wiring)
    if chosen.as_json:
        import msgspec

        print(msgspec.json.encode(findings).decode())
        return code
    for finding in findings:
        print(f"{_MARKS[finding.verdict]}  {finding.what}: {finding.detail}")
        if finding.mend:
            print(f"          → {finding.mend}")
    return code


def _init(chosen: argparse.Namespace, wiring: Wiring) -> int:
    from deploy.raspberrypi.propose import Answers, propose

    answers = Answers(
        site=chosen.site,
        gateway=chosen.gateway,
        host=chosen.host,
        port=chosen.port or (1883 if chosen.no_tls else 8883),
        username=chosen.username,
        password_file=chosen.password_file,
        tls=not chosen.no_tls,
        ca_file=chosen.ca_file,
        outbox=chosen.outbox,
    )
    text = propose(answers, wiring)
    if chosen.output is None:
        print(text, end="")
        return EXIT_OK
    try:
        # Never over a config that someone has edited.
        with chosen.output.open("x") as file:
            file.write(text)
    except FileExistsError:
        print(f"tidemark-pi: {chosen.output} is there already; edit it, or move it away first", file=sys.stderr)
        return EXIT_FAILURE
    except OSError as error:
        print(f"tidemark-pi: {chosen.output}: {error.strerror}", file=sys.stderr)
        return EXIT_FAILURE
    return EXIT_OK


def _configure_logs(verbose: bool) -> None:
    # The journal has the time of each line already.
    stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=level, format=f"{stamp}%(levelname)s %(message)s", stream=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidemark-pi", description="Read a Raspberry Pi's sensors and send them to Tidemark.", epilog=_EXITS
    )
    parser.add_argument("--version", action="version", version=f"tidemark-pi {_version()}")
    common = argparse.ArgumentParser(add_help=False)
    config = Path(os.environ.get("TIDEMARK_PI_CONFIG", DEFAULT_FILE))
    common.add_argument("--root", type=Path, help="read /sys below this folder: a recorded tree")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", parents=[common], help="read and send until stopped", epilog=_RUN)
    run.add_argument("--config", type=Path, default=config, help=f"default: {config}")
    run.add_argument("-v", "--verbose", action="store_true", help="log more")
    run.set_defaults(action=_run)

    check = commands.add_parser(
        "check", parents=[common], help="config, sensors, clock, disk, broker: what is wrong, and the mend",
        epilog=f"{_CHECK}. {_EXITS}",
    )  # fmt: skip
    check.add_argument("--config", type=Path, default=config, help=f"default: {config}")
    check.add_argument("--json", dest="as_json", action="store_true", help="one JSON array instead of text")
    check.set_defaults(action=_check)
    _add_init(commands, common)
    return parser


def _add_init(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    init = commands.add_parser(
        "init", parents=[common], help="print a config with the sensors that are there", epilog=_INIT
    )
    for name, text in (
        ("site", "site in the topics"), ("gateway", "this board's name in the topics"), ("host", "the broker"),
    ):  # fmt: skip
        init.add_argument(f"--{name}", required=True, help=text)
    init.add_argument("--port", type=int, help="default: 8883, without TLS 1883")
    init.add_argument("--username", default="", help="the gateway's login")
    init.add_argument("--password-file", type=Path, help="file that holds the password, mode 0600")
    init.add_argument("--ca-file", type=Path, help="certificate of the CA that signed the broker's")
    init.add_argument("--no-tls", action="store_true", help="for a broker on this machine")
    init.add_argument("--outbox", type=Path, help="file of the outbox")
    init.add_argument("-o", "--output", type=Path, help="write there; refused if it is there already")
    init.set_defaults(action=_init)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tidemark")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    main()
