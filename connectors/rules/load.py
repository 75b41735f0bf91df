"""Rule files: YAML in, a checked rule set out, or every error at once."""

from pathlib import Path
from typing import Any

import msgspec

from connectors.rules.check import repeated, rule_problems
from connectors.wire.ruleset import Rule, RuleSet

DEFAULT_RULES = Path(__file__).with_name("default.yaml")
"""The rules that Tidemark ships with: they name no gateway, series or absolute limit."""

_KEYS = {"version", "effective_from_ms", "rules"}


class RulesError(Exception):
    """A rule file that can't be used; the message lists every error, one a line."""

    def __init__(self, where: str, problems: list[str]) -> None:
        super().__init__(f"{where} can't be used:\n  " + "\n  ".join(problems))
        self.problems = problems


def load_rules(path: Path = DEFAULT_RULES) -> RuleSet:
    """Read a rule file.

    Raises
    ------
    RulesError
        With every error, each naming its rule.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RulesError(str(path), [str(error)]) from error
    return parse_rules(text, str(path))


def parse_rules(text: str, where: str = "the rules") -> RuleSet:
    """Parse a rule file's text.

    Raises
    ------
    RulesError
        With every error, each naming its rule.
    """
    import yaml

    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise RulesError(where, [f"not YAML: {error}"]) from error
    if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
        raise RulesError(where, ["a rule file is a mapping with a list `rules`"])
    problems = [
        f"{key!r} is no key of a rule file ({', '.join(sorted(_KEYS))})" for key in document if key not in _KEYS
    ]
    rules = [_rule(entry, place, problems) for place, entry in enumerate(document["rules"], start=1)]
    known = tuple(rule for rule in rules if rule is not None)
    problems += [f"rule {one}: its id is used more than once" for one in repeated(rule.id for rule in known)]
    head = {
        "version": document.get("version", 1),
        "effective_from_ms": document.get("effective_from_ms", 0),
        "rules": (),
    }
    try:
        rule_set = msgspec.convert(head, RuleSet)
    except msgspec.ValidationError as error:
        raise RulesError(where, [*problems, str(error)]) from error
    if problems:
        raise RulesError(where, problems)
    return msgspec.structs.replace(rule_set, rules=known)


def _rule(entry: Any, place: int, problems: list[str]) -> Rule | None:
    """Convert one rule; what is wrong with it goes to `problems`."""
    name = entry.get("id", f"number {place}") if isinstance(entry, dict) else f"number {place}"
    try:
        rule = msgspec.convert(entry, Rule)
    except msgspec.ValidationError as error:
        problems.append(f"rule {name}: {error}")
        return None
    problems.extend(f"rule {name}: {problem}" for problem in rule_problems(rule))
    return rule
