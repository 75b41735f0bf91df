"""Mapping files: what is wrong is told at once, and each problem names its place."""

from pathlib import Path

import pytest

from connectors.mapping.load import MappingError, load_mappings, parse_mappings

GOOD = """
site: home
gateway: tasmota
ignore: [tele/+/LWT]
mappings:
  - name: sensors
    topic: tele/{device}/SENSOR
    device: "{device}"
    time: {at: Time, form: iso8601, zone: Europe/Berlin}
    readings:
      - {value: AM2301.Temperature, quantity: temperature, unit: Cel}
"""


def test_a_good_file_gives_its_filters():
    mappings = parse_mappings(GOOD)
    assert mappings.filters == ("tele/+/SENSOR",)
    match = mappings.match("tele/oven/SENSOR")
    assert match.home() == ("home", "tasmota")
    assert mappings.match("elsewhere") is None


def test_ignored_topics_belong_to_a_mapping_and_to_nobody():
    text = GOOD.replace("tele/+/LWT", "tele/+/SENSOR")
    assert parse_mappings(text).match("tele/oven/SENSOR").mapping is None


BAD = """
sight: home
mappings:
  - name: one
    topic: a/{device}/#/b
    gateway: "{device"
    readings: []
  - name: two
    topic: b/{device}
    site: s
    gateway: "{=g}"
    device: "{other}"
    time: {at: "[", form: iso8601, zone: Nowhere/At/All}
    each: "a b"
    readings: [{value: "a..b", quantity: q}, {value: v, quantity: "{=", device: d}]
  - name: two
    topic: b/+
    site: a/b
    gateway: g
    readings: [{value: v, quantity: q}]
  - name: three
    topic: c
    readings: [{value: v, quantity: q, device: d, colour: red}]
"""


def test_all_errors_come_at_once_and_name_their_mapping():
    with pytest.raises(MappingError) as caught:
        parse_mappings(BAD, "plant.yaml")
    text = str(caught.value)
    for part in (
        "plant.yaml can't be used",
        "'sight' is no key",
        "mapping one: topic: # stands for all that follows",
        "mapping one: site: none is given",
        "mapping one: readings: the list is empty",
        "mapping two: gateway: '{=g}': a gateway comes from the topic",
        "mapping two: each: 'a b' is no JMESPath expression",
        "mapping two: time: '[' is no JMESPath expression",
        "mapping two: reading 1: 'a..b' is no JMESPath expression",
        "mapping two: reading 2: '{='",
        "mapping two: site: site 'a/b' holds one of",
        "mapping two: reading 1: no device",
        "mapping three: Object contains unknown field `colour`",
    ):
        assert part in text, part


def test_a_topic_within_another_is_refused_because_a_message_would_count_twice():
    more = (
        GOOD
        + """
  - name: all
    topic: tele/{device}/{kind}
    device: "{device}"
    readings: [{value: a, quantity: q}]
"""
    )
    with pytest.raises(MappingError, match=r"mappings sensors and all: of their topics .* one takes all"):
        parse_mappings(more)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[", "a: 1", "mappings: []", "mappings: 3", "- 1", "\0", "mappings: [1]", "version: 2\nmappings: [1]"),
        *("mappings: [{}]", "ignore: 3\nmappings: [{}]", GOOD.replace("iso8601", "rfc822"), GOOD + "# \ud83d"),
        GOOD.replace("- name", "- 1: 2\n    name"),
        GOOD.replace("unit: Cel", "scale: .inf"),
    ],
)
def test_what_is_no_mapping_file_is_a_mapping_error(text):
    with pytest.raises(MappingError):
        parse_mappings(text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(MappingError, match=r"absent\.yaml"):
        load_mappings(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(MappingError, match=r"latin\.yaml"):
        load_mappings(tmp_path / "latin.yaml")


def test_topics_that_cross_belong_to_the_first_that_fits():
    more = (
        GOOD
        + """
  - name: status
    topic: "{device}/status/{component}"
    device: "{device}"
    readings: [{value: a, quantity: q}]
"""
    )
    mappings = parse_mappings(more)
    found = {
        topic: mappings.match(topic).mapping.spec.name
        for topic in ("tele/x/SENSOR", "x/status/y", "tele/status/SENSOR")
    }
    assert found == {"tele/x/SENSOR": "sensors", "x/status/y": "status", "tele/status/SENSOR": "sensors"}
