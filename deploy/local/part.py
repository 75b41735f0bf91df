"""What the stack knows of a part."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deploy.local.health import Check
from deploy.local.ports import PortUse

TOPICS = "topics"
"""Step between parts: Kafka's topics and the first rule set are there. Named in `Part.needs` like a part."""
DATABASE = "database"
"""Step between parts: InfluxDB's database is there."""


@dataclass(frozen=True)
class Launch:
    """How to start a program: its name or path, its arguments, and what it adds to the environment."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A program of the stack.

    Attributes
    ----------
    launch
        Writes its configuration, makes its data folder, and returns how to start it; called before each start by the
        stack. May take seconds, and raise.
    check
        Its health check.
    address
        Where people find it; empty for none.
    ports
        Ports it listens on, to be free before it starts.
    needs
        Parts and steps that must be healthy before it starts; those that are not started here count as there.
    stage
        Parts stop in the order of their stages: services 1, the job's keeper 0, stores 2, Kafka 3.
    stop_s
        How long it may take to stop before it is killed.
    start_s
        How long it may take to become healthy before `up` gives up.
    grace_s
        How long what it leaves behind, such as the filter of its log, may take to end by itself.
    """

    name: str
    launch: Callable[[], Launch]
    check: Check
    address: str = ""
    ports: tuple[PortUse, ...] = ()
    needs: tuple[str, ...] = ()
    stage: int = 1
    stop_s: float = 10.0
    start_s: float = 300.0
    grace_s: float = 0.0
