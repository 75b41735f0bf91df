"""Names that anyone may have chosen, in line protocol."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.influxdb.line import NS_IN_MS, original_name, plain_tag, string_field, tag_value, tags, tie_break_ns

HOSTILE = ["a,b=c\nx y=1", "back\\", "\\", "tab\t", "%0A", "\n", "%%0A", "%\n", '"', "#x", "é漢", "\x00", "trail ", " "]
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.text("%0aA\\\n,= ", min_size=1)


def parse_tags(text: str) -> dict[str, str]:
    """Read tags as InfluxDB does: a separator behind a backslash is part of the value."""
    pairs = re.split(r"(?<!\\),", text)[1:]
    split = [re.split(r"(?<!\\)=", pair) for pair in pairs]
    assert all(len(pair) == 2 for pair in split), text
    return {key: re.sub(r"\\([,= ])", r"\1", value) for key, value in split}


@given(NAMES)
def test_a_name_comes_back_whole(name: str) -> None:
    assert original_name(plain_tag(name)) == name


@given(NAMES, NAMES)
def test_names_stay_apart_and_within_their_place(device: str, quantity: str) -> None:
    line = tags(device=device, quantity=quantity)
    assert not re.search(r"[\x00-\x1f]", line)
    # No space that isn't behind a backslash: the fields would begin there.
    assert not re.search(r"(?<!\\) ", line)
    found = parse_tags(line)
    assert {key: original_name(value) for key, value in found.items()} == {"device": device, "quantity": quantity}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_tag_ends_in_a_backslash(name: str) -> None:
    assert not tag_value(name).endswith("\\")


def test_an_empty_name_is_left_out() -> None:
    assert tags(site="s", gateway="") == ",site=s"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_string_field_ends_where_it_ends(text: str) -> None:
    field = string_field(text)
    assert re.fullmatch(r'"(?:[^"\\]|\\["\\])*"', field, re.DOTALL)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_tie_break_is_a_function_of_the_id_and_stays_within_a_millisecond(event_id: str) -> None:
    # The number is part of each point's identity in databases that exist: it must never change.
    assert tie_break_ns("e") == 859_442
    assert 0 <= tie_break_ns(event_id) < NS_IN_MS
    assert tie_break_ns(event_id) == tie_break_ns(event_id)
