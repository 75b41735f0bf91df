"""Rule files: every error at once, each naming its rule."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.rules.load import RulesError, load_rules, parse_rules
from connectors.rules.select import matcher

GOOD = """
version: 3
effective_from_ms: 60000
rules:
  - {id: hot, detector: limits, levels: {medium: 80, high: 90}, select: {quantity: "temp*"}, for_windows: 2}
"""


def test_a_good_file_is_a_rule_set() -> None:
    rules = parse_rules(GOOD)
    assert (rules.version, rules.effective_from_ms, len(rules.rules)) == (3, 60_000, 1)
    assert rules.rules[0].levels == {"medium": 80.0, "high": 90.0}


def test_every_error_is_reported_at_once() -> None:
    text = """
version: 1
colour: blue
rules:
  - {id: BAD, detector: limits, levels: {low: 1}}
  - {id: a, detector: limits, levels: {awful: 1, low: .nan}}
  - {id: a, detector: limits, levels: {low: 1}, threshold: 3}
  - {id: b, detector: limits, levels: {low: 1}, hysteresis: 1.5}
  - {id: c, detector: limits, levels: {low: 1}, select: {plant: x}}
  - {id: c, detector: limits, levels: {}}
  - 7
"""
    with pytest.raises(RulesError) as caught:
        parse_rules(text, "rules.yaml")
    message = str(caught.value)
    assert message.startswith("rules.yaml can't be used:\n")
    for expected in (
        "'colour' is no key",
        "rule BAD: ",
        "rule a: levels names 'awful'",
        "rule a: the limit of low is nan",
        "unknown field `threshold`",
        "rule b: ",
        "rule c: select names 'plant'",
        "rule c: levels is empty",
        "rule c: its id is used more than once",
        "rule number 7: ",
    ):
        assert expected in message, expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a mapping with a list `rules`"),
        ("[]", "a mapping with a list `rules`"),
        ("rules: 3", "a mapping with a list `rules`"),
        ("rules: [", "not YAML"),
        ("rules: []\nversion: 0", "version"),
        ("rules: []\nversion: x", "version"),
        ("rules: !!python/object/apply:os.system [ls]", "not YAML"),
    ],
)
def test_a_file_of_another_shape_is_refused(text: str, problem: str) -> None:
    with pytest.raises(RulesError, match="can't be used") as caught:
        parse_rules(text)
    assert problem in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="no-such"):
        load_rules(tmp_path / "no-such.yaml")


@given(st.text(max_size=200))
@settings(max_examples=50, deadline=None)
def test_no_text_is_another_exception(text: str) -> None:
    for body in (text, f"rules: {text}", f"rules:\n  - id: {text}"):
        try:
            parse_rules(body)
        except RulesError:
            continue


def test_selectors_match_every_field_that_they_name() -> None:
    matches = matcher({"gateway": "gw-[12]", "unit": "Cel"})
    assert matches("s", "gw-1", "d", "q", "Cel")
    assert not matches("s", "gw-3", "d", "q", "Cel")
    assert not matches("s", "gw-1", "d", "q", "K")
    assert not matches("s", "GW-1", "d", "q", "Cel")
    assert matcher({})("", "", "", "", "")
