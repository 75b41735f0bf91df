"""Operator ids of our own, also for SQL's operators, so that state finds its operator again in a changed plan.

Flink's ids follow the plan's order: with one output more, state would be restored into the wrong operators without an
error.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pyflink.datastream import StreamExecutionEnvironment

ANCHORS = (
    (r"KafkaSource-.*\.(?P<name>\w+)$", "{name}"),
    (r"LocalWindowAggregate\[", "window-local"),
    (r"GlobalWindowAggregate\[", "window"),
    (r"judge$", "judge"),
    (r"(?P<name>[a-z_]+)\[\d+\]$", "{name}"),  # sinks
)
"""The operators with state: pattern of Flink's name → our id."""


@dataclass
class Node:
    """A transformation of the plan, without Java.

    Attributes
    ----------
    virtual
        A partitioning or a union: no operator, so no id.
    """

    number: int
    name: str
    inputs: tuple[int, ...]
    virtual: bool = False
    anchor: str | None = field(init=False)

    def __post_init__(self) -> None:
        self.anchor = None if self.virtual else _anchor(self.name)


def operator_ids(nodes: Iterable[Node]) -> dict[int, str]:
    """Return an id for each operator, by its number.

    Stateful operators are named for what they are; the others for their kind, and for the stateful ones around them.

    Raises
    ------
    ValueError
        If two operators would have the same id.
    """
    by_number = {node.number: node for node in nodes}
    outputs: dict[int, list[int]] = {number: [] for number in by_number}
    for node in by_number.values():
        for number in node.inputs:
            outputs[number].append(node.number)
    inputs = {number: list(node.inputs) for number, node in by_number.items()}
    ids = {
        node.number: node.anchor
        or _between(node, _nearest(by_number, inputs, node), _nearest(by_number, outputs, node))
        for node in by_number.values()
        if not node.virtual
    }
    if len(set(ids.values())) < len(ids):
        raise ValueError(f"two operators have the same id: {sorted(ids.values())}")
    return ids


def set_operator_ids(environment: StreamExecutionEnvironment) -> list[str]:
    """Give each operator of the plan its id; return the ids, sorted. Call it after the last statement is attached."""
    found = {}
    waiting = list(environment._j_stream_execution_environment.getTransformations())  # noqa: SLF001 - no public way
    while waiting:
        transformation = waiting.pop()
        if transformation.getId() not in found:
            found[transformation.getId()] = transformation
            waiting.extend(transformation.getInputs())
    ids = operator_ids(
        Node(
            number,
            str(one.getName()),
            tuple(each.getId() for each in one.getInputs()),
            one.getClass().getSimpleName()
            in ("PartitionTransformation", "UnionTransformation", "SideOutputTransformation"),
        )
        for number, one in found.items()
    )
    for number, uid in ids.items():
        found[number].setUid(uid)
    return sorted(ids.values())


def _anchor(name: str) -> str | None:
    for pattern, uid in ANCHORS:
        match = re.match(pattern, name)
        if match and not name.startswith(("Calc", "Union")):
            return uid.format(**match.groupdict()).replace("_", "-")
    return None


def _between(node: Node, before: set[str], after: set[str]) -> str:
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", re.split(r"\W", node.name, maxsplit=1)[0]).lower()
    return f"{kind}:{'+'.join(sorted(before))}" + (f">{next(iter(after))}" if len(after) == 1 else "")


def _nearest(nodes: dict[int, Node], edges: dict[int, list[int]], start: Node) -> set[str]:
    found: set[str] = set()
    waiting = list(edges[start.number])
    while waiting:
        node = nodes[waiting.pop()]
        if node.anchor:
            found.add(node.anchor)
        else:
            waiting.extend(edges[node.number])
    return found
