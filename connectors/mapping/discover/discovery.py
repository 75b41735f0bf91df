"""The whole way: messages that were heard in, a mapping file, a preview and what can't be mapped out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from connectors.mapping.discover.forms import Unreadable, form_of
from connectors.mapping.discover.groups import Group, Readable, groups_of
from connectors.mapping.discover.heard import Heard, HeardTopic
from connectors.mapping.discover.preview import preview
from connectors.mapping.discover.propose import Proposal, propose
from connectors.mapping.discover.render import file_text
from connectors.mapping.expression import checked_name
from connectors.mapping.load import parse_mappings
from connectors.mapping.refusal import Refusal, quoted
from connectors.mapping.topics import TemplateError, covers, topic_template
from connectors.wire.topics import ROOT

_MARKS = frozenset("+#{}\0")
"""A topic with one of them can't be written as a template of itself."""

OWN = "Tidemark's own topics: they need no mapping"

NAMELESS = "its numbers have names that a mapping can't use: empty, or with braces"

MAX_IGNORED = 50
"""Topics listed to be ignored in a proposal; more would hide what matters in it."""


@dataclass(frozen=True)
class Unmapped:
    """A topic that no mapping is proposed for, and why."""

    topic: str
    messages: int
    why: str
    sample: str


@dataclass
class Discovery:
    """What came of listening.

    Attributes
    ----------
    text
        The mapping file; "" if there is nothing that could be mapped.
    """

    text: str = ""
    proposals: list[Proposal] = field(default_factory=list)
    unmapped: list[Unmapped] = field(default_factory=list)


def discover(heard: Heard, site: str, gateway: str = "") -> Discovery:
    """Propose a mapping file. The order in which topics were heard decides nothing.

    Parameters
    ----------
    gateway
        For every mapping; "" names them after the devices' kind or the first level of their topics.
    """
    found = Discovery()
    readable = []
    by_name = {topic.topic: topic for topic in heard.topics()}
    own = [topic for topic in heard.topics() if topic.topic.startswith(f"{ROOT}/")]
    for topic in heard.topics():
        if topic in own:
            continue
        one, why = _readable(topic)
        if one is None:
            found.unmapped.append(_unmapped(topic, why))
        else:
            readable.append(one)
    if own:
        found.unmapped.append(Unmapped(f"{ROOT}/#", sum(one.count for one in own), OWN, f"{len(own)} topics"))
    groups = _apart(groups_of(readable))
    taken: set[str] = set()
    for group in groups:
        name = _free_name(group, taken)
        made = propose(group, name)
        if not made.mapping["readings"]:
            found.unmapped += [_unmapped(by_name[one.topic], NAMELESS) for one in group.topics]
            continue
        made.mapping = {"name": name, "topic": group.template, "gateway": gateway or _gateway(group)} | made.mapping
        found.proposals.append(made)
    found.proposals.sort(key=lambda one: str(one.mapping["topic"]))
    if found.proposals:
        _keep_what_reads(found, heard, site)
    return found


def _keep_what_reads(found: Discovery, heard: Heard, site: str) -> None:
    """Try the proposals on the messages: one that reads nothing is withdrawn, and what they can't read is ignored."""
    shown = preview(heard, parse_mappings(file_text(site, found.proposals, [])))
    reading = {one.mapping for one in shown.readings}
    faults = {fault.topic: fault.detail for fault in reversed(shown.faults)}
    by_name = {topic.topic: topic for topic in heard.topics()}
    for one in [one for one in found.proposals if one.mapping["name"] not in reading]:
        found.proposals.remove(one)
        found.unmapped += [
            _unmapped(
                by_name[topic.topic], f"nothing of it can be used: {faults.get(topic.topic, 'it has no reading')}"
            )
            for topic in one.group.topics
        ]
    if found.proposals:
        ignore = [one.topic for one in found.unmapped if one.topic in faults]
        found.text = file_text(site, found.proposals, ignore[:MAX_IGNORED])


def _readable(topic: HeardTopic) -> tuple[Readable | None, str]:
    if not _can_be_named(topic.topic):
        return None, "a template can't be written for this topic: it is empty or too long, or one of + # { } is in it"
    forms, why = [], ""
    for message in topic.messages:
        try:
            forms.append((message, form_of(topic.topic, message.payload)))
        except Unreadable as error:
            why = str(error)
    if not forms:
        return None, why
    one = Readable(topic.topic, forms)
    kept = [pair for pair in forms if pair[1].kind == one.kind and pair[1].each == _common_each(one)]
    return Readable(topic.topic, kept, len(topic.messages) - len(kept)), ""


def _common_each(one: Readable) -> str:
    lists = [form.each for _, form in one.forms if form.kind == one.kind]
    return max(lists, key=lambda each: (lists.count(each), each))


def _unmapped(topic: HeardTopic, why: str) -> Unmapped:
    return Unmapped(topic.topic, topic.count, why, quoted(topic.messages[-1].payload, 80))


def _apart(groups: Sequence[Group]) -> list[Group]:
    """Return the groups with templates of which no two fit a topic that was heard; what can't be named drops out."""
    kept = _absorbed([group for one in groups for group in _usable(one)])
    clashing = {
        at
        for at, one in enumerate(kept)
        for other_at, other in enumerate(kept)
        if at != other_at and _clash(one, other)
    }
    return [group for at, one in enumerate(kept) for group in ([one] if at not in clashing else _literal(one))]


def _clash(one: Group, other: Group) -> bool:
    mine, theirs = topic_template(one.template), topic_template(other.template)
    if covers(mine.filter, theirs.filter) or covers(theirs.filter, mine.filter):
        return True
    both = ((mine, other), (theirs, one))
    return any(template.match(topic.topic) is not None for template, group in both for topic in group.topics)


def _usable(group: Group) -> list[Group]:
    """Return the group, or one a topic where its template would take Tidemark's own topics."""
    try:
        topic_template(group.template)
    except TemplateError:
        return _literal(group)
    return [group]


def _can_be_named(topic: str) -> bool:
    try:
        return not _MARKS & set(topic) and bool(topic_template(topic))
    except TemplateError:
        return False


def _absorbed(groups: Sequence[Group]) -> list[Group]:
    """Let known families take the topics that their templates fit, and join groups of one template and kind."""
    joined: dict[tuple[str, str, str], Group] = {}
    for one in sorted(groups, key=lambda group: not group.family):
        home = next((key for key, other in joined.items() if _belongs(one, other)), None)
        if home is None:
            joined[one.template, one.kind, one.quantity] = one
        else:
            joined[home] = replace(joined[home], topics=(*joined[home].topics, *one.topics))
    return list(joined.values())


def _belongs(one: Group, other: Group) -> bool:
    if one.kind != other.kind:
        return False
    if other.family:
        return all(topic_template(other.template).match(topic.topic) is not None for topic in one.topics)
    same = (one.template, one.device, one.quantity) == (other.template, other.device, other.quantity)
    return same and one.topics[0].forms[0][1].each == other.topics[0].forms[0][1].each


def _literal(group: Group) -> list[Group]:
    """Return one group a topic, with the topic itself as its template."""
    made = []
    for one in group.topics:
        device, quantity = group.device, group.quantity
        for level, said in zip(group.levels, one.levels, strict=True):
            if level.startswith("{") and level.endswith("}"):
                device, quantity = device.replace(level, said), quantity.replace(level, said)
        made.append(Group(one.levels, (one,), device, quantity, group.family))
    return made


def _gateway(group: Group) -> str:
    if group.family:
        return group.family
    for level in group.levels:
        try:
            if not level.startswith("{"):
                return checked_name("gateway", level)
        except Refusal:
            continue
    return "mqtt"


def _free_name(group: Group, taken: set[str]) -> str:
    """Return a name for a mapping that none of `taken` has, and add it there."""
    words = [level.strip("{}").lower() for level in group.levels if level]
    base = "-".join([group.family] * bool(group.family and group.family not in words) + words)[:80] or "mapping"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    return name
