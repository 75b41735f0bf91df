"""`tidemark-pi check`: what is wrong, what was found, and the mends."""

import shutil
import sqlite3
from pathlib import Path

from deploy.command.exits import EXIT_FAILURE, EXIT_OK, EXIT_UNREACHABLE, EXIT_USAGE
from deploy.raspberrypi.bme280 import find_bme280
from deploy.raspberrypi.board import since_boot
from deploy.raspberrypi.clock import EARLIEST_MS, BoardClock
from deploy.raspberrypi.config import Config, ConfigError, load_config
from deploy.raspberrypi.ds18b20 import W1_DEVICES, find_ds18b20
from deploy.raspberrypi.finding import Finding
from deploy.raspberrypi.reach import try_broker
from deploy.raspberrypi.run import broker_of
from deploy.raspberrypi.secret import SecretError
from deploy.raspberrypi.sensor import MENDS, Sensor, Value
from deploy.raspberrypi.wiring import Wiring

_BYTES_PER_PACK = 400
"""A pack of a dozen readings in the outbox, SQLite's overhead included; to estimate what the disk holds."""

_LEAST_FREE_BYTES = 64 * 2**20
"""Below this the system's own logs may fill the disk first."""


def examine(path: Path, wiring: Wiring) -> tuple[list[Finding], int]:
    """Look at everything; return the findings and the exit code."""
    try:
        config = load_config(path)
    except ConfigError as error:
        problems = [
            Finding(problem.key, "wrong", f"{problem.value}: {problem.why}".removeprefix(": "), problem.mend)
            for problem in error.problems
        ]
        return problems, EXIT_USAGE
    findings = [Finding("config", "ok", f"{path}: gateway {config.gateway} of site {config.site}")]
    for sensor in wiring.sensors(config):
        findings += _sensor(sensor)
    findings += _strangers(config, wiring)
    findings += _since_boot(config, wiring)
    findings += [*_clock(wiring.clock(config)), *_outbox(config), *_broker(config)]
    return findings, _exit_code(findings)


def _exit_code(findings: list[Finding]) -> int:
    verdicts = {finding.verdict for finding in findings}
    if "wrong" in verdicts:
        return EXIT_FAILURE
    return EXIT_UNREACHABLE if "unreachable" in verdicts else EXIT_OK


def _sensor(sensor: Sensor) -> list[Finding]:
    units = dict(sensor.quantities)
    findings = []
    for found in sensor.read():
        what = f"{sensor.device}/{found.quantity}"
        if isinstance(found, Value):
            findings.append(Finding(what, "ok", f"{found.value:g} {units[found.quantity]} ({sensor.place})"))
        else:
            detail = f"{found.reason}: {found.detail} ({sensor.place})"
            findings.append(Finding(what, "wrong", detail, MENDS[found.reason]))
    return findings


def _strangers(config: Config, wiring: Wiring) -> list[Finding]:
    """Return sensors that are there and not in the config."""
    known = {one.id for one in config.ds18b20}
    findings = [
        Finding(
            "config", "warning", f"DS18B20 {found} is there, and not in the config", f'add [[ds18b20]] id = "{found}"'
        )
        for found in find_ds18b20(wiring.root)
        if found not in known
    ]
    places = {(one.bus, one.address) for one in config.bme280}
    for bus in sorted({1, *(one.bus for one in config.bme280)}):
        for address in find_bme280(wiring.open_bus, bus):
            if (bus, address) not in places:
                detail = f"a BME280 answers on bus {bus} at 0x{address:02x}, and is not in the config"
                mend = f"add [[bme280]] bus = {bus}, address = 0x{address:02x}"
                findings.append(Finding("config", "warning", detail, mend))
    if config.ds18b20 and not (wiring.root / W1_DEVICES).is_dir():
        detail, mend = "1-Wire is off", "add dtoverlay=w1-gpio to /boot/firmware/config.txt and reboot"
        findings.append(Finding("1-wire", "wrong", detail, mend))
    return findings


def _since_boot(config: Config, wiring: Wiring) -> list[Finding]:
    if not config.board.throttling:
        return []
    try:
        bits = wiring.throttling(config).bits()
    except (OSError, ValueError):
        # The sensor's own finding says so already.
        return []
    had = since_boot(bits or 0)
    if not had:
        return []
    detail = f"since it was switched on: {', '.join(had)}"
    return [
        Finding("board", "warning", detail, "a stronger supply and a short cable; for the temperature, a heat sink")
    ]


def _clock(clock: BoardClock) -> list[Finding]:
    # The marker is the agent's: written by root, the agent could not write it any more.
    if clock.usable(remember=False):
        return [Finding("clock", "ok", "trusted by the config" if clock.trust else "synchronised")]
    if clock.trust or clock.wall_ms() < EARLIEST_MS:
        detail = "it shows a time before 2025"
        return [Finding("clock", "wrong", detail, "set it (timedatectl set-time), or switch the time server on")]
    detail = "not synchronised: readings wait in memory until it is"
    mend = "timedatectl set-ntp true, and look at the network; with a clock chip and no time server: clock.trust = true"
    return [Finding("clock", "wrong", detail, mend)]


def _outbox(config: Config) -> list[Finding]:
    path = config.outbox.path
    folder = next(folder for folder in path.parents if folder.exists())
    if folder != path.parent:
        mend = f"make it: install -d -o tidemark-pi -m 700 {path.parent}"
        return [Finding("outbox", "wrong", f"{path.parent}: no such folder", mend)]
    free = shutil.disk_usage(folder).free
    days = min(free / _BYTES_PER_PACK, config.outbox.limit_packs) * config.period_s / 86_400
    detail = f"{path}: {free / 2**20:.0f} MiB free, room for an outage of about {days:.0f} days"
    if free < _LEAST_FREE_BYTES:
        return [Finding("outbox", "wrong", detail, "free some space, or put outbox.path on another disk")]
    return [Finding("outbox", "ok", detail), *_waiting(path)]


def _waiting(path: Path) -> list[Finding]:
    """Return what is in the outbox, also while the agent uses it."""
    if not path.exists():
        return []
    try:
        # as_uri quotes what a path may hold and a URI may not.
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            gateway, last, acked = db.execute("SELECT gateway, last_seq, acked_seq FROM state").fetchone()
        finally:
            db.close()
    except (sqlite3.Error, TypeError) as error:
        mend = "run this as the user tidemark-pi; if it stays, move the file away: what is in it was not sent"
        return [Finding("outbox", "wrong", f"{path}: {error}", mend)]
    return [Finding("outbox", "ok", f"gateway {gateway}: {last - acked} packs wait, {acked} were acknowledged")]


def _broker(config: Config) -> list[Finding]:
    try:
        broker = broker_of(config)
    except SecretError as error:
        why, _, mend = str(error).partition("; ")
        return [Finding("mqtt.password_file", "wrong", why, mend)]
    return [try_broker(broker, config.site, config.gateway)]
