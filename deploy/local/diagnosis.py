"""What `tidemark doctor` looks for: what is missing or wrong on this machine, and its mend."""

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from connectors.kit.listen import parse_listen
from connectors.kit.settings import DEFAULT_FILE, SETTINGS_VARIABLE, Settings
from deploy.local.effective import is_gated
from deploy.local.gate.machine import Machine, is_loopback, problem_of, this_machine
from deploy.local.gate.paths import GatePaths
from deploy.local.layout import PARTS_HOME
from deploy.local.ports import taken, twice
from deploy.local.programs import spell_out
from deploy.local.programs.influxdb import find_influxd
from deploy.local.programs.kafka import JARS, java
from deploy.local.programs.mosquitto import find_mosquitto
from deploy.local.stack import ACTIVE, Stack

Verdict = Literal["ok", "warning", "wrong"]
GIB = 2**30
PROGRAM_TIMEOUT_S = 15.0
"""A program asked for its version answers at once; a broken one must not hang the doctor."""
DISK_WANTED = 12 * GIB
"""Readings may take 10 GiB (their retention); the rest is for checkpoints, logs and InfluxDB."""
DISK_NEEDED = GIB
MEMORY_WANTED = 5 * GIB
"""What the stack takes at most with its default settings."""
MEMORY_NEEDED = 2 * GIB
FILES_WANTED = 4096
"""Kafka holds three files a partition, the broker one a gateway."""
MOSQUITTO_SAFE = (2, 0, 22)
"""Older ones have known holes (CVE-2023-0809, CVE-2023-3592, CVE-2023-28366, CVE-2024-3935, CVE-2024-10525)."""
CERTIFICATE_DAYS = 30
"""With less left, a broker's certificate wants to be renewed; `tidemark up` does it 60 days before its end."""
AUTHORITY_DAYS = 365
"""A new CA's certificate has to reach every gateway, which takes time."""


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at; `mend` is what to do, empty when all is well."""

    what: str
    verdict: Verdict
    detail: str
    mend: str = ""


def examine(stack: Stack) -> list[Finding]:
    """Look at everything; a look that fails is a finding, too."""
    checks: tuple[Callable[[Stack], Iterator[Finding]], ...] = (
        _python,
        _settings,
        _java,
        _jars,
        _flink,
        _influxd,
        _mosquitto,
        _listener,
        _ports,
        _own_servers,
        _room,
    )
    return [finding for check in checks for finding in check(stack)]


def _uses(stack: Stack, *parts: str) -> bool:
    return bool(set(parts) & set(spell_out(stack.settings.stack.parts)))


def _python(_stack: Stack) -> Iterator[Finding]:
    version = sys.version_info
    found = f"{version.major}.{version.minor}.{version.micro}"
    if version[:2] in ((3, 11), (3, 12)):
        yield Finding("Python", "ok", found)
    else:
        yield Finding("Python", "wrong", found, "Flink needs 3.11 or 3.12: PYTHON=python3.11 make setup")


def _settings(_stack: Stack) -> Iterator[Finding]:
    file = Path(os.environ.get(SETTINGS_VARIABLE, DEFAULT_FILE))
    yield Finding("settings", "ok", str(file) if file.exists() else "defaults and environment")


def java_major(text: str) -> int | None:
    """Return the major version in what `java -version` says.

    >>> java_major('openjdk version "17.0.15" 2025-04-15'), java_major('java version "1.8.0_401"'), java_major("?")
    (17, 8, None)
    """
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found.group(1)) if found else None


def _java(stack: Stack) -> Iterator[Finding]:
    if not _uses(stack, "kafka", "jobmanager", "taskmanager"):
        return
    mend = "install Java 17: apt install openjdk-17-jre-headless, or point JAVA_HOME at one"
    said = _says([java(), "-version"])
    major = None if said is None else java_major(said)
    if major is None:
        yield Finding("Java", "wrong", f"{java()} can't be run", mend)
    elif major < 17:
        yield Finding("Java", "wrong", f"{java()} is {major}; Kafka needs 17", mend)
    elif major > 21:
        yield Finding("Java", "warning", f"{java()} is {major}; Flink is made for 17 and 21", mend)
    else:
        yield Finding("Java", "ok", f"{java()}, {major}")


def _says(argv: list[str]) -> str | None:
    """Return what a program says on both outputs; None if it can't be run."""
    try:
        result = subprocess.run(argv, capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout + result.stderr


def _jars(stack: Stack) -> Iterator[Finding]:
    wanted = []
    if _uses(stack, "kafka"):
        wanted.append(("Kafka", JARS, "kafka_2.13-*.jar"))
    if _uses(stack, "jobmanager", "taskmanager", "job"):
        wanted.append(("Flink's Kafka connector", PARTS_HOME / "flink", "flink-sql-connector-kafka-*.jar"))
    for what, folder, pattern in wanted:
        found = sorted(folder.glob(pattern))
        if found:
            yield Finding(what, "ok", found[-1].name)
        else:
            yield Finding(what, "wrong", f"{folder}/{pattern} is missing", "make setup")


def _flink(stack: Stack) -> Iterator[Finding]:
    from deploy.local.flink.distribution import FlinkMissing, find_distribution

    if not _uses(stack, "jobmanager", "taskmanager", "job"):
        return
    try:
        yield Finding("Flink", "ok", str(find_distribution(stack.settings.flink.home).home))
    except FlinkMissing as error:
        yield Finding("Flink", "wrong", str(error), "make setup")


def _influxd(stack: Stack) -> Iterator[Finding]:
    if not _uses(stack, "influxd"):
        return
    said = _says([find_influxd(), "version"])
    if said is None:
        yield Finding("InfluxDB", "wrong", f"{find_influxd()} can't be run", "make setup")
    else:
        yield Finding("InfluxDB", "ok", f"{find_influxd()}, {said.strip()}")


def mosquitto_version(text: str) -> tuple[int, ...] | None:
    """Return the version in what `mosquitto -h` says.

    >>> mosquitto_version("mosquitto version 2.0.11")
    (2, 0, 11)
    """
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else None


def is_patched(package: str) -> bool:
    """Whether a version of Debian's mosquitto package has the security fixes: 2.0.11 with a `deb11u` or `deb12u`.

    >>> is_patched("2.0.11-1.2+deb12u2"), is_patched("2.0.11-1"), is_patched("2.0.21-1")
    (True, False, False)
    """
    return bool(re.search(r"2\.0\.11-.*\+deb1[12]u[1-9]", package))


def _mosquitto(stack: Stack) -> Iterator[Finding]:
    if not _uses(stack, "mosquitto"):
        return
    said = _says([find_mosquitto(), "-h"])
    version = None if said is None else mosquitto_version(said)
    if version is None:
        yield Finding("mosquitto", "wrong", f"{find_mosquitto()} can't be run", "apt install mosquitto")
        return
    shown = f"{find_mosquitto()}, {'.'.join(map(str, version))}"
    exposed = exposed_at(stack.settings)
    if not exposed or version >= MOSQUITTO_SAFE:
        yield Finding("mosquitto", "ok", shown)
        return
    package = _says(["dpkg-query", "-W", "-f", "${Version}", "mosquitto"]) or ""
    if is_patched(package):
        yield Finding("mosquitto", "ok", f"{shown}; Debian has patched its package {package.strip()}")
        return
    mend = "listen on loopback only, or install 2.0.22 or later, or Debian's patched 2.0.11"
    yield Finding("mosquitto", "warning", f"{shown} has known holes and listens on {exposed}", mend)


def exposed_at(settings: Settings) -> str:
    """Return where other machines can reach the embedded broker; empty for nowhere."""
    if is_gated(settings) and not parse_listen(settings.stack.listen).is_loopback:
        return str(parse_listen(settings.stack.listen))
    return "" if is_loopback(settings.mqtt.host) else settings.mqtt.host


def _listener(stack: Stack) -> Iterator[Finding]:
    """Look whether the broker can listen beyond loopback, and how long its certificate holds."""
    settings = stack.settings
    if not settings.stack.listen:
        return
    yield from listener_findings(settings, this_machine())
    files = GatePaths(stack.folder)
    yield from _certificate("broker's certificate", files.server, CERTIFICATE_DAYS, "tidemark up makes a new one")
    mend = "delete ca.crt, tidemark down, tidemark up, and copy the new ca.crt to every gateway"
    yield from _certificate("CA's certificate", files.ca, AUTHORITY_DAYS, mend)


def listener_findings(settings: Settings, machine: Machine) -> Iterator[Finding]:
    """Say whether these settings can open the listener on this machine."""
    if why_not := problem_of(settings, machine):
        yield Finding("listener", "wrong", why_not, "correct stack.listen, or the address after --listen")
    else:
        yield Finding("listener", "ok", f"gateways come by TLS to {parse_listen(settings.stack.listen)}")


def _certificate(what: str, file: Path, least_days: int, mend: str) -> Iterator[Finding]:
    from cryptography import x509

    try:
        ends = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    except FileNotFoundError:
        return  # made at the first start
    except (OSError, ValueError) as error:
        yield Finding(what, "wrong", f"{file} can't be read ({error})", "restore it from your back-up")
        return
    left = (ends - datetime.now(UTC)).days
    short = left < least_days
    yield Finding(what, "warning" if short else "ok", f"ends on {ends:%Y-%m-%d}, in {left} days", mend if short else "")


def _ports(stack: Stack) -> Iterator[Finding]:
    running = {name for name, state in stack.states().items() if state.state in ACTIVE}
    wanted = spell_out(stack.settings.stack.parts)
    uses = [use for name in wanted for use in stack.parts[name].ports]
    problems = twice(uses) + taken(use for name in wanted if name not in running for use in stack.parts[name].ports)
    for problem in problems:
        what, _, mend = problem.partition("; ")
        yield Finding("ports", "wrong", what, mend)
    if not problems:
        yield Finding("ports", "ok", "all free, or the stack's own" if running else "all free")


def _own_servers(stack: Stack) -> Iterator[Finding]:
    """Look whether the servers that the stack doesn't start answer."""
    names = {
        "mosquitto": ("MQTT broker", "mqtt.host"),
        "kafka": ("Kafka", "kafka.bootstrap"),
        "influxd": ("InfluxDB", "influxdb.url"),
        "jobmanager": ("Flink", "flink.rest"),
    }
    for part, (what, setting) in names.items():
        if _uses(stack, part):
            continue
        problem = stack.parts[part].check()
        if problem is None:
            yield Finding(f"your {what}", "ok", "answers")
        else:
            mend = f"start it, correct {setting}, or add {part} to stack.parts"
            yield Finding(f"your {what}", "wrong", problem, mend)


def _room(stack: Stack) -> Iterator[Finding]:
    folder = next(path for path in (stack.folder, *stack.folder.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    mend = "free some, or name another folder in stack.data"
    yield _measured("disk", free, (DISK_NEEDED, DISK_WANTED), f"free in {folder}", mend)
    if not any(state.state in ACTIVE for state in stack.states().values()):
        mend = "stop something, or lower stack.kafka_heap_mib and stack.flink_task_manager_mib"
        yield _measured("memory", _available_memory(), (MEMORY_NEEDED, MEMORY_WANTED), "available", mend)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if files < FILES_WANTED:
        yield Finding("open files", "warning", f"at most {files}", f"raise the limit to {FILES_WANTED} (ulimit -Hn)")
    else:
        yield Finding("open files", "ok", f"up to {files}")


def _available_memory() -> int:
    import psutil

    return int(psutil.virtual_memory().available)


def _measured(what: str, have: int, limits: tuple[int, int], where: str, mend: str) -> Finding:
    needed, wanted = limits
    detail = f"{have / GIB:.1f} GiB {where}"
    if have < needed:
        return Finding(what, "wrong", f"{detail}; {needed / GIB:.0f} GiB is the least", mend)
    if have < wanted:
        return Finding(what, "warning", f"{detail}; {wanted / GIB:.0f} GiB is better", mend)
    return Finding(what, "ok", detail)
