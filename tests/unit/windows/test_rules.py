"""Compiling rule sets: never an exception, and what is wrong is said."""

import pytest

from connectors.rules.load import load_rules
from connectors.wire.ruleset import Rule, RuleSet
from jobs.windows.rules import NO_RULES, build_detector, check_rules, compile_rules

GOOD = Rule(id="a", detector="limits", levels={"low": 1.0})


def rule_set(*rules: Rule, version: int = 1, effective_from_ms: int = 0) -> RuleSet:
    return RuleSet(version=version, effective_from_ms=effective_from_ms, rules=rules)


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (Rule(id="a", detector="oracle", levels={"low": 1.0}), "detector 'oracle' is none of limits, score"),
        (Rule(id="a", detector="score", levels={"low": 1.0}, parameters={"memry": 3}), "no parameter memry; it has"),
        (Rule(id="a", detector="score", levels={"low": 1.0}, parameters={"memory": "x"}), "Expected `float`"),
        (Rule(id="a", detector="score", levels={"low": 1.0}, parameters={"memory": 0.5}), "memory 0.5 is below 1"),
        (Rule(id="a", detector="score", levels={}), "levels is empty"),
        (Rule(id="a", detector="score", levels={"awful": 1.0}), "levels names 'awful'"),
        (Rule(id="a", detector="score", levels={"low": float("nan")}), "no number to compare with"),
        (Rule(id="a", detector="score", levels={"low": 2.0, "high": 1.0}), "must rise with severity"),
        (Rule(id="a", detector="score", levels={"low": 1.0, "medium": 3.0, "high": 2.0}), "neither rise nor fall"),
        (
            Rule(id="a", detector="limits", parameters={"side": "below"}, levels={"low": 1.0, "high": 2.0}),
            "must fall with severity",
        ),
        (Rule(id="a", detector="silence", levels={"low": 1.0}, select={"device": "*"}), "site and gateway alone"),
        (Rule(id="a", detector="score", levels={"low": 1.0}, select={"plant": "*"}), "select names 'plant'"),
    ],
)
def test_a_set_with_an_error_is_left_out_and_the_one_before_stays(rule: Rule, problem: str) -> None:
    compiled = compile_rules([rule_set(GOOD), rule_set(rule, version=2)])
    assert [one.version for one in compiled.sets] == [1]
    assert len(compiled.errors) == 1 and problem in compiled.errors[0]
    assert compiled.errors[0].startswith("rule set 2: rule a: ")


def test_an_id_used_twice_is_an_error() -> None:
    assert check_rules(rule_set(GOOD, GOOD)) == ["rule a: its id is used more than once"]


def test_the_newest_set_in_force_judges() -> None:
    sets = [rule_set(version=2, effective_from_ms=100), rule_set(version=1), rule_set(version=3, effective_from_ms=100)]
    compiled = compile_rules(sets)
    assert [compiled.at(ms).version for ms in (-1, 0, 99, 100, 10**15)] == [0, 1, 1, 3, 3]
    assert compiled.at(-1) is NO_RULES


def test_the_shipped_rules_compile_and_name_nothing() -> None:
    rules = load_rules()
    assert compile_rules([rules]).errors == ()
    assert all(not rule.select and rule.detector != "limits" for rule in rules.rules)


def test_parameters_become_the_detector() -> None:
    assert build_detector("missing", {"warm_up": 4, "intervals": 2}).warm_up == 4
