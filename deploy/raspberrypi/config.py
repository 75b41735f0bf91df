"""The agent's one config file, TOML: who the gateway is, its broker, its sensors."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from deploy.raspberrypi.board import CONDITIONS
from deploy.raspberrypi.checked import Problem, build

DEFAULT_FILE = Path("/etc/tidemark-pi/config.toml")

_TOPIC_PART = r"^[^/+#\s\x00-\x1f]{1,64}$"
TopicPart = Annotated[
    str, Meta(pattern=_TOPIC_PART, extra={"mend": "give 1 to 64 characters without blanks, /, + and #"})
]
"""A level of an MQTT topic, or a half of a series' name: what would break either is refused here."""

Port = Annotated[int, Meta(ge=1, le=65535, extra={"mend": "give a port from 1 to 65535; MQTT with TLS has 8883"})]
Period = Annotated[float, Meta(ge=0.1, le=3600, extra={"mend": "give seconds from 0.1 to 3600"})]
Seconds = Annotated[float, Meta(gt=0, le=3600, extra={"mend": "give seconds above 0, up to 3600"})]
Packs = Annotated[int, Meta(ge=100, le=10_000_000, extra={"mend": "give a number from 100 to 10000000"})]
Rounds = Annotated[int, Meta(ge=0, le=5_000, extra={"mend": "give a number from 0 to 5000"})]
Keepalive = Annotated[int, Meta(ge=1, le=3600, extra={"mend": "give seconds from 1 to 3600"})]
OneWireId = Annotated[
    str,
    Meta(
        pattern="^28-[0-9a-f]{12}$",
        extra={
            "mend": "give the folder's name in /sys/bus/w1/devices, as 28-000005e2fdc3 (tidemark-pi check lists them)"
        },
    ),
]
BusNumber = Annotated[int, Meta(ge=0, le=63, extra={"mend": "give the N of /dev/i2c-N; the pins 3 and 5 are bus 1"})]
Address = Annotated[int, Meta(ge=0x76, le=0x77, extra={"mend": "give 0x76 (SDO to ground) or 0x77 (SDO to supply)"})]


class ConfigError(Exception):
    """The config can't be used; `problems` has every reason, and the message one a line."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))
        self.problems = problems


class Mqtt(msgspec.Struct, frozen=True, kw_only=True):
    """The broker. `ca_file` none means the system's certificates; a connection is given up after 1.5 `keepalive_s`."""

    host: Annotated[str, Meta(min_length=1, extra={"mend": "give the broker's name or address"})]
    port: Port = 8883
    username: str = ""
    password_file: Path | None = None
    tls: bool = True
    ca_file: Path | None = None
    keepalive_s: Keepalive = 30
    reconnect_min_s: Seconds = 1.0
    reconnect_max_s: Seconds = 30.0


class OutboxConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Readings on disk until they are in Kafka. `ledger` keeps all of them for ever, to close the books by."""

    path: Path = Path("/var/lib/tidemark-pi/outbox.sqlite")
    limit_packs: Packs = 1_000_000
    ledger: bool = False


class ClockConfig(msgspec.Struct, frozen=True, kw_only=True):
    """When the wall clock may stamp readings; see `deploy.raspberrypi.clock`.

    `trust` is for boards with a clock chip and no time server. `hold_rounds` bounds what waits in memory for the time.
    """

    trust: bool = False
    hold_rounds: Rounds = 1_000


class Ds18b20Config(msgspec.Struct, frozen=True, kw_only=True):
    """A DS18B20 on the 1-Wire bus; `device` defaults to its id."""

    id: OneWireId
    device: TopicPart = ""
    quantity: TopicPart = "temperature"


class Bme280Config(msgspec.Struct, frozen=True, kw_only=True):
    """A BME280 on an I²C bus: temperature, humidity and pressure."""

    device: TopicPart = "bme280"
    bus: BusNumber = 1
    address: Address = 0x76


class BoardConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The board's own temperature, and whether its firmware throttles it."""

    device: TopicPart = "board"
    temperature: bool = True
    throttling: bool = True


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything."""

    site: TopicPart
    gateway: TopicPart
    mqtt: Mqtt
    period_s: Period = 10.0
    outbox: OutboxConfig = OutboxConfig()
    clock: ClockConfig = ClockConfig()
    board: BoardConfig = BoardConfig()
    ds18b20: tuple[Ds18b20Config, ...] = ()
    bme280: tuple[Bme280Config, ...] = ()


def load_config(path: Path) -> Config:
    """Read and check the file.

    Raises
    ------
    ConfigError
        With every problem there is.
    """
    try:
        text = path.read_text()
    except OSError as error:
        mend = "make one with tidemark-pi init, or name another with --config"
        raise ConfigError(path, [Problem("the file", "", f"can't be read ({error.strerror})", mend)]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(path, [Problem("the file", "", "is not UTF-8", "write it again as UTF-8")]) from error
    return parse_config(text, path)


def parse_config(text: str, path: Path) -> Config:
    """Check a config's text; `path` stands in the messages. Raises `ConfigError`."""
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, [Problem("the file", "", f"is not TOML: {error}", "correct that line")]) from error
    problems: list[Problem] = []
    config = build(Config, table, problems)
    if config is not None:
        problems += _together(config)
    if config is None or problems:
        raise ConfigError(path, problems)
    return config


def device_of(sensor: Ds18b20Config) -> str:
    """Return the name under which a DS18B20's readings go."""
    return sensor.device or sensor.id


def series_names(config: Config) -> list[tuple[str, str, str]]:
    """Return key, device and quantity of each series that the config asks for."""
    names = [(f"ds18b20[{at}]", device_of(one), one.quantity) for at, one in enumerate(config.ds18b20)]
    for at, sensor in enumerate(config.bme280):
        names += [(f"bme280[{at}]", sensor.device, quantity) for quantity in ("temperature", "humidity", "pressure")]
    if config.board.temperature:
        names.append(("board", config.board.device, "temperature"))
    if config.board.throttling:
        names += [("board", config.board.device, quantity) for quantity in CONDITIONS]
    return names


def _together(config: Config) -> list[Problem]:
    """Return what is wrong between settings that are right one by one."""
    return [*_clashes(config), *_mqtt_problems(config.mqtt)]


def _clashes(config: Config) -> list[Problem]:
    problems = []
    seen: dict[object, str] = {}
    for key, device, quantity in series_names(config):
        if (device, quantity) in seen:
            why = f"gives {device}/{quantity}, as {seen[device, quantity]} does"
            problems.append(Problem(f"{key}.device", repr(device), why, "give one of them another device"))
        seen.setdefault((device, quantity), key)
    places: list[tuple[str, object]] = [(f"ds18b20[{at}].id", one.id) for at, one in enumerate(config.ds18b20)]
    places += [(f"bme280[{at}].address", (one.bus, one.address)) for at, one in enumerate(config.bme280)]
    for key, place in places:
        if place in seen:
            problems.append(Problem(key, repr(place), f"is the same sensor as {seen[place]}", "take one of them out"))
        seen.setdefault(place, key)
    return problems


def _mqtt_problems(mqtt: Mqtt) -> list[Problem]:
    problems = []
    local = mqtt.host in {"localhost", "127.0.0.1", "::1"}
    if mqtt.password_file is not None and not mqtt.tls and not local:
        why = f"would send the password in clear text to {mqtt.host}"
        problems.append(Problem("mqtt.tls", "false", why, "set it to true"))
    if mqtt.password_file is not None and not mqtt.username:
        why = "is missing, and a password alone is no login"
        problems.append(Problem("mqtt.username", "", why, "add it, or take password_file out"))
    if mqtt.ca_file is not None and not mqtt.tls:
        problems.append(Problem("mqtt.ca_file", repr(str(mqtt.ca_file)), "is of no use without TLS", "set mqtt.tls"))
    if mqtt.reconnect_min_s > mqtt.reconnect_max_s:
        why = f"is above reconnect_max_s = {mqtt.reconnect_max_s}"
        problems.append(Problem("mqtt.reconnect_min_s", str(mqtt.reconnect_min_s), why, "make it smaller"))
    return problems
