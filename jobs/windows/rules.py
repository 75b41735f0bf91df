"""Rule sets, made ready to judge windows."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import msgspec

from connectors.rules.check import repeated, rule_problems
from connectors.rules.select import GATEWAY_FIELDS, Matcher, matcher
from connectors.wire.alert import SEVERITIES
from connectors.wire.ruleset import Rule, RuleSet, rule_hash
from jobs.detectors import DETECTORS, Detector


@dataclass(frozen=True)
class CompiledRule:
    """A rule with its detector.

    Attributes
    ----------
    limits
        `(rank, limit)` by rising severity; rank 1 is `low`, 4 is `critical`. As the rule gives them, not mirrored.
    """

    rule: Rule
    hash: str
    detector: Detector
    limits: tuple[tuple[int, float], ...]
    matches: Matcher


@dataclass(frozen=True)
class CompiledSet:
    """All rules of one version."""

    version: int
    effective_from_ms: int
    rules: tuple[CompiledRule, ...]


NO_RULES = CompiledSet(version=0, effective_from_ms=-(2**62), rules=())
"""What judges windows before the first rule set is in force: nothing."""


@dataclass(frozen=True)
class CompiledRules:
    """Every known rule set, oldest first.

    Attributes
    ----------
    sets
        In order of `effective_from_ms`, then version.
    errors
        What is wrong with sets that are left out, one sentence each.
    """

    sets: tuple[CompiledSet, ...] = ()
    errors: tuple[str, ...] = ()

    def at(self, start_ms: int) -> CompiledSet:
        """Return the newest set that is in force in a window that starts at `start_ms`; `NO_RULES` before the
        first.
        """
        return next((one for one in reversed(self.sets) if one.effective_from_ms <= start_ms), NO_RULES)


def compile_rules(sets: Sequence[RuleSet]) -> CompiledRules:
    """Order `sets` and build their detectors.

    Never raises, because a worker would restart for ever: a set with any error is left out whole, so that the set
    before it stays in force, and the errors are in `CompiledRules.errors`.
    """
    good: dict[int, CompiledSet] = {}
    errors: list[str] = []
    for one in sorted(sets, key=lambda one: one.version):
        problems = check_rules(one)
        if problems:
            errors += [f"rule set {one.version}: {problem}" for problem in problems]
        else:
            good[one.version] = CompiledSet(one.version, one.effective_from_ms, tuple(map(_compiled, one.rules)))
    ordered = sorted(good.values(), key=lambda one: (one.effective_from_ms, one.version))
    return CompiledRules(tuple(ordered), tuple(errors))


def check_rules(rules: RuleSet) -> list[str]:
    """Return everything that is wrong with a rule set, its detectors' parameters included; one sentence each."""
    problems = [f"rule {one}: its id is used more than once" for one in repeated(rule.id for rule in rules.rules)]
    for rule in rules.rules:
        own = rule_problems(rule)
        problems += [f"rule {rule.id}: {problem}" for problem in own or _detector_problems(rule)]
    return problems


def _detector_problems(rule: Rule) -> list[str]:
    try:
        detector = build_detector(rule.detector, rule.parameters)
    except ValueError as error:
        return [str(error)]
    problems = []
    limits = [limit for _, limit in _limits(rule)]
    if limits != sorted(limits, reverse=detector.sign < 0):
        problems.append(f"limits {limits} must {'rise' if detector.sign > 0 else 'fall'} with severity")
    if detector.axis == "gateway" and not set(rule.select) <= set(GATEWAY_FIELDS):
        problems.append(f"select of a rule on gateways can name {' and '.join(GATEWAY_FIELDS)} alone")
    return problems


def build_detector(name: str, parameters: dict[str, object]) -> Detector:
    """Build a detector from its name and parameters.

    Raises
    ------
    ValueError
        For an unknown name, or naming every parameter that is wrong.
    """
    kind = DETECTORS.get(name)
    if kind is None:
        msg = f"detector {name!r} is none of {', '.join(DETECTORS)}"
        raise ValueError(msg)
    known = {one.name for one in fields(kind)}
    unknown = [one for one in parameters if one not in known]
    if unknown:
        msg = f"detector {name} has no parameter {', '.join(unknown)}; it has {', '.join(sorted(known))}"
        raise ValueError(msg)
    try:
        return msgspec.convert(parameters, kind)
    except msgspec.ValidationError as error:
        msg = f"detector {name}: {error}"
        raise ValueError(msg) from error


def _limits(rule: Rule) -> tuple[tuple[int, float], ...]:
    return tuple((rank, rule.levels[name]) for rank, name in enumerate(SEVERITIES, start=1) if name in rule.levels)


def _compiled(rule: Rule) -> CompiledRule:
    detector = build_detector(rule.detector, rule.parameters)
    return CompiledRule(rule, rule_hash(rule), detector, _limits(rule), matcher(rule.select))
