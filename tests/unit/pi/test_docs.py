"""The page in docs says what the code does."""

import re
from pathlib import Path
from typing import Any, get_args

import msgspec

from deploy.raspberrypi.config import Config, parse_config

PAGE = (Path(__file__).parents[3] / "docs" / "raspberry-pi.md").read_text()


def settings(kind: Any, where: str = "") -> list[str]:
    """Return every key that a config may hold."""
    names = []
    for field in msgspec.structs.fields(kind):
        inner = (get_args(field.type) or (field.type,))[0]
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            names += settings(inner, f"{where}{field.name}.")
        else:
            names.append(where + field.name)
    return names


def test_every_setting_is_on_the_page_and_no_other() -> None:
    table = PAGE.partition("| setting |")[2].partition("\n## ")[0]
    documented = (
        {name for row in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
        if table
        else set()
    )
    assert documented == set(settings(Config))


def test_the_example_is_a_config() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    config = parse_config(example, Path("example"))
    assert (config.ds18b20[0].device, config.bme280[0].device) == ("boiler", "room")
