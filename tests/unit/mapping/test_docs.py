"""The docs' mapping file can be used, and means what they say."""

import re
from pathlib import Path

from connectors.mapping.load import parse_mappings

PAGE = Path(__file__).parents[3] / "docs" / "connect-a-device.md"


def test_the_example_reads_what_it_is_said_to_read() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    mappings = parse_mappings(example)
    found = {}
    for topic, payload in (
        ("tele/oven/SENSOR", '{"Time":"2024-07-01T12:00:00","AM2301":{"Temperature":21.5},"ENERGY":{"Power":3}}'),
        ("loggers/l1", '{"ts":1709645410000,"readings":[{"sensor":"s2","name":"flow","val":"1.5","unit":"m³/h"}]}'),
        ("tanks/7/level", "250"),
        ("tanks/8/level", "empty"),
    ):
        match = mappings.match(topic)
        assert match is not None
        for one in match.apply(payload.encode()).readings:
            place = "/".join((*match.home(), one.series.device, one.series.quantity))
            found[place] = (one.value, one.series.unit, one.time_ms)
    assert found == {
        "plant-1/tasmota/oven/temperature": (21.5, "Cel", 1_719_828_000_000),
        "plant-1/tasmota/oven/power": (3.0, "W", 1_719_828_000_000),
        "plant-1/loggers/l1-s2/flow": (1.5, "m3/h", 1_709_645_410_000),
        "plant-1/tanks/7/level": (2.5, "m", None),
        "plant-1/tanks/8/level": (0.0, "m", None),
    }
