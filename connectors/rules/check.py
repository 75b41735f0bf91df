"""What is wrong with a rule, apart from what only its detector knows."""

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from connectors.rules.select import FIELDS
from connectors.wire.alert import SEVERITIES
from connectors.wire.ruleset import Rule


def rule_problems(rule: Rule) -> list[str]:
    """Return what is wrong with a rule, one sentence each.

    >>> rule_problems(Rule(id="hot", detector="limits", levels={"high": 80.0, "medium": 90.0}, select={"plant": "*"}))
    ["select names 'plant', which is none of site, gateway, device, quantity, unit"]
    """
    problems = []
    if not rule.levels:
        problems.append("levels is empty: name at least one severity and its limit")
    for severity, limit in rule.levels.items():
        if severity not in SEVERITIES:
            problems.append(f"levels names {severity!r}, which is none of {', '.join(SEVERITIES)}")
        if not math.isfinite(limit):
            problems.append(f"the limit of {severity} is {limit}, which is no number to compare with")
    limits = [rule.levels[severity] for severity in SEVERITIES if severity in rule.levels]
    if not problems and not (_rising(limits) or _rising([-limit for limit in limits])):
        problems.append(f"limits {limits} neither rise nor fall with severity")
    problems += [
        f"select names {name!r}, which is none of {', '.join(FIELDS)}" for name in rule.select if name not in FIELDS
    ]
    return problems


def repeated(ids: Iterable[str]) -> list[str]:
    """Return the ids that occur more than once, sorted."""
    return sorted(one for one, times in Counter(ids).items() if times > 1)


def _rising(limits: list[float]) -> bool:
    return all(low < high for low, high in pairwise(limits))
