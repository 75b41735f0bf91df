"""`tidemark-pi init`: a config with the sensors that are there."""

import json
from dataclasses import dataclass
from pathlib import Path

from deploy.raspberrypi.bme280 import find_bme280
from deploy.raspberrypi.config import parse_config
from deploy.raspberrypi.ds18b20 import find_ds18b20
from deploy.raspberrypi.wiring import Wiring


@dataclass(frozen=True)
class Answers:
    """What can't be found out on the board."""

    site: str
    gateway: str
    host: str
    port: int = 8883
    username: str = ""
    password_file: Path | None = None
    tls: bool = True
    ca_file: Path | None = None
    outbox: Path | None = None


def propose(answers: Answers, wiring: Wiring) -> str:
    """Return the config's text, checked. Raises `ConfigError`."""
    lines = [
        "# tidemark-pi; tidemark-pi check says what is wrong with it. All settings: docs/raspberry-pi.md",
        _line("site", answers.site),
        _line("gateway", answers.gateway),
        "period_s = 10",
        "",
        *_mqtt(answers),
    ]
    if answers.outbox is not None:
        lines += ["", "[outbox]", _line("path", str(answers.outbox))]
    for one_wire_id in find_ds18b20(wiring.root):
        # The name in dashboards and alerts: the user knows what it measures.
        lines += ["", "[[ds18b20]]", _line("id", one_wire_id), _line("device", one_wire_id)]
    for at, address in enumerate(find_bme280(wiring.open_bus, 1)):
        name = "bme280" if at == 0 else f"bme280-{at + 1}"
        lines += ["", "[[bme280]]", _line("device", name), "bus = 1", f"address = 0x{address:02x}"]
    text = "\n".join(lines) + "\n"
    parse_config(text, Path("the new config"))
    return text


def _mqtt(answers: Answers) -> list[str]:
    lines = ["[mqtt]", _line("host", answers.host), f"port = {answers.port}", f"tls = {str(answers.tls).lower()}"]
    if answers.ca_file is not None:
        lines.append(_line("ca_file", str(answers.ca_file)))
    if answers.username:
        lines.append(_line("username", answers.username))
    if answers.password_file is not None:
        lines.append(_line("password_file", str(answers.password_file)))
    return lines


def _line(key: str, value: str) -> str:
    r"""Return a line of TOML, whose basic strings escape as JSON's do.

    >>> _line("site", 'a "b"')
    'site = "a \\"b\\""'
    """
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"
