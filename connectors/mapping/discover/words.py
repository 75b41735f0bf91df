"""What names in payloads usually mean: times, devices, quantities and their units."""

import re
from dataclasses import dataclass

TIME_NAMES = (
    *("time", "timestamp", "ts", "datetime", "date_time", "date", "time_ms", "timestamp_ms", "ts_ms", "epoch"),
    *("utc", "measured_at", "created_at", "sampled_at", "received_at", "event_time", "sample_time", "last_seen", "t"),
)
"""The earlier, the more surely it is the readings' time."""

DEVICE_NAMES = (
    *("device", "device_id", "deviceid", "dev", "dev_id", "device_name", "devicename", "node", "node_id", "nodeid"),
    *("station", "machine", "machine_id", "asset", "asset_id", "equipment", "sensor", "sensor_id", "sensorid", "mac"),
    *("serial", "serial_number", "serialnumber", "src", "source", "hostname", "id"),
)

QUANTITY_NAMES = (
    *("n", "name", "metric", "quantity", "measurement", "measure", "parameter", "property", "type", "kind", "tag"),
    *("point", "channel", "field", "key", "signal", "variable", "sensor", "sensor_id", "id"),
)

VALUE_NAMES = ("value", "val", "v", "reading")
UNIT_NAMES = ("unit", "units", "u", "uom", "unit_of_measurement")

GENERIC_LEVELS = frozenset(
    "data sensor sensors state status telemetry json up event events value values measurement measurements reading "
    "readings tele stat attributes message messages out pub rx uplink rpc info live mqtt raw feed update".split()
)
"""Levels of topics that name no device."""

CONTAINERS = frozenset(
    "data payload params values metrics readings measurements sensors telemetry decoded object decoded_payload "
    "uplink_message state body fields".split()
)
"""Keys that hold the readings and say nothing about them."""

NO_READINGS = frozenset(
    "id seq sequence seqno version ver fw fw_version bver port fport f_port fcnt f_cnt msg_id msgid message_id mid pid "
    "packet_id counter_id channel_id schema qos retain".split()
)
"""Numbers that count or name messages."""

_TOKENS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")

_SUFFIXES = {
    "celsius": "Cel",
    "degc": "Cel",
    "c": "Cel",
    "tc": "Cel",
    "kelvin": "K",
    "kwh": "kWh",
    "wh": "Wh",
    "kw": "kW",
    "w": "W",
    "mv": "mV",
    "v": "V",
    "ma": "mA",
    "a": "A",
    "hz": "Hz",
    "pa": "Pa",
    "hpa": "hPa",
    "mbar": "hPa",
    "bar": "bar",
    "ppm": "ppm",
    "lux": "lx",
    "dbm": "dBm",
    "rpm": "1/min",
    "mm": "mm",
    "cm": "cm",
    "kg": "kg",
}
"""Last part of a name → unit, where there is a part before it."""

_QUANTITIES: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(words.split()), unit)
    for words, unit in (
        ("apparentpower apparent", "VA"),
        ("reactivepower reactive", "var"),
        ("temperature temp dewpoint dew celsius tc", "Cel"),
        ("humidity hum rh", "%RH"),
        ("pressure baro barometer", "hPa"),
        ("voltage volt volts vcc", "V"),
        ("current amps ampere", "A"),
        ("power apower watts", "W"),
        ("frequency freq", "Hz"),
        ("illuminance lux", "lx"),
        ("battery soc", "%EL"),
        ("co2 eco2 voc tvoc", "ppm"),
        ("pm25 pm10 pm1 pm2", "ug/m3"),
        ("rssi signal", "dBm"),
    )
)
"""A word in a name → unit; the first that fits."""

_PLAIN = frozenset(
    "linkquality level flow speed position count counter weight distance vibration rpm energy value".split()
)
"""Words for quantities that have no one usual unit."""


@dataclass(frozen=True)
class Unit:
    """A unit, and what makes the number fit it."""

    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0


FAHRENHEIT = Unit("Cel", 5 / 9, -160 / 9)


def tokens(name: str) -> list[str]:
    """Return the words of a name, in small letters.

    >>> tokens("outsideTemp_C")
    ['outside', 'temp', 'c']
    """
    return [word.lower() for word in _TOKENS.findall(name)]


def guessed_unit(path: tuple[str, ...], values: list[float]) -> Unit:
    """Return the usual unit of what a path names.

    >>> guessed_unit(("AM2301", "Temperature"), [21.5]).unit
    'Cel'
    """
    words = tokens(path[-1])
    if words and words[-1] in ("f", "tf", "fahrenheit") and (len(words) > 1 or words[0] != "f"):
        return FAHRENHEIT
    if len(words) > 1 and words[-1] in _SUFFIXES:
        return Unit(_SUFFIXES[words[-1]])
    joined = "".join(words)
    for known, unit in _QUANTITIES:
        if joined in known or known & set(words):
            return Unit(_by_size(unit, values))
    if len(path) > 1 and {"energy", "aenergy"} & set(tokens(path[-2])):
        # Tasmota counts kilowatt-hours under ENERGY, Shelly watt-hours under aenergy.
        if path[-2] == "aenergy" and path[-1] == "total":
            return Unit("Wh")
        if path[-2] == "ENERGY" and path[-1] in ("Total", "Today", "Yesterday"):
            return Unit("kWh")
    return Unit()


def _by_size(unit: str, values: list[float]) -> str:
    largest = max((abs(value) for value in values), default=0.0)
    if unit == "hPa":
        return "Pa" if largest > 20_000 else "hPa" if largest > 200 else ""
    if unit == "V" and largest > 1_000:
        return "mV"  # A battery of three volts, told in millivolts.
    return unit


def is_quantity(level: str) -> bool:
    """Whether a level of a topic is a usual name of a quantity."""
    words = set(tokens(level)) | {"".join(tokens(level))}
    return bool(words & _PLAIN) or any(words & known for known, _ in _QUANTITIES)


def key_among(keys: list[str], names: tuple[str, ...]) -> str | None:
    """Return the key that comes first in `names`, whatever its case and marks; None if there is none."""
    plain = {key.lower().replace("-", "_"): key for key in reversed(keys)}
    return next((plain[name] for name in names if name in plain), None)
