"""Rule sets: one event holds every rule, so all shards switch at one event time and a replay repeats it."""

from hashlib import sha256
from typing import Annotated, Any, ClassVar

import msgspec


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A detector with its parameters and levels, on the series that the selector names.

    Attributes
    ----------
    id
        Part of every alert's identity: lower-case letters, digits, hyphens.
    detector
        Name of a detector in `jobs/detectors/`.
    parameters
        The detector's own, by name; what is left out has the detector's default.
    levels
        Severity → limit on the detector's score, for example `{"medium": 1.0, "critical": 2.0}`.
    select
        Field (`site`, `gateway`, `device`, `quantity`, `unit`) → glob; empty selects the whole fleet.
    for_windows, keep_windows
        An alert is raised after so many consecutive windows over the limit, and cleared after so many under it.
    hysteresis
        An active alert stays while its score is above `limit * (1 - hysteresis)`.
    """

    id: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,63}$")]
    detector: str
    parameters: dict[str, Any] = {}
    levels: dict[str, float]
    select: dict[str, str] = {}
    for_windows: Annotated[int, msgspec.Meta(ge=1)] = 1
    keep_windows: Annotated[int, msgspec.Meta(ge=1)] = 1
    hysteresis: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    description: str = ""
    runbook: str = ""


class RuleSet(msgspec.Struct, frozen=True, kw_only=True):
    """All rules from `effective_from_ms` on (event time, on the grid); a window is judged by the newest with
    `effective_from_ms` at or before its start.
    """

    VERSION: ClassVar[int] = 1
    v: int = 1
    version: Annotated[int, msgspec.Meta(ge=1)]
    effective_from_ms: int
    rules: tuple[Rule, ...]


def rule_hash(rule: Rule) -> str:
    """Return the first 16 hex digits of SHA-256 over the rule's canonical JSON."""
    return sha256(msgspec.json.encode(rule, order="sorted")).hexdigest()[:16]
