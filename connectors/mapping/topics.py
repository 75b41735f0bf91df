"""Topic templates: `tele/{device}/SENSOR` is a subscription, a test, and the names that a topic tells."""

import re
from dataclasses import dataclass

from connectors.wire.topics import ROOT

MAX_TOPIC = 400
"""Characters of a template; far more than any that means something."""

OWN_TOPICS = f"{ROOT}/+/+/#"
"""All that gateways and the bridge say to each other."""

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class TemplateError(ValueError):
    """A template that can't be used; the message says why."""


@dataclass(frozen=True)
class TopicTemplate:
    """A topic, taken apart at its levels.

    Attributes
    ----------
    levels
        Literal text, `+`, a last `#`, or `{name}`.
    """

    text: str
    levels: tuple[str, ...]

    @property
    def filter(self) -> str:
        """What to subscribe to."""
        return "/".join("+" if _NAME.fullmatch(level) else level for level in self.levels)

    @property
    def names(self) -> tuple[str, ...]:
        """The placeholders, in their order."""
        return tuple(found[1] for level in self.levels if (found := _NAME.fullmatch(level)))

    def match(self, topic: str) -> dict[str, str] | None:
        """Return what the placeholders stand for in a topic; None if it doesn't fit.

        >>> topic_template("tele/{device}/SENSOR").match("tele/oven/SENSOR")
        {'device': 'oven'}
        """
        given = topic.split("/")
        rest = self.levels[-1] == "#"
        fixed = len(self.levels) - rest
        if len(given) < fixed or (len(given) > fixed and not rest):
            return None
        if topic.startswith("$") and not self.levels[0].startswith("$"):
            return None
        named: dict[str, str] = {}
        for level, said in zip(self.levels[:fixed], given, strict=False):
            if found := _NAME.fullmatch(level):
                named[found[1]] = said
            elif level not in ("+", said):
                return None
        return named


def topic_template(text: str) -> TopicTemplate:
    """Read a topic template.

    Raises
    ------
    TemplateError
        If it is no topic, or would take Tidemark's own topics.
    """
    levels = tuple(text.split("/"))
    if not text or len(text) > MAX_TOPIC or "\0" in text:
        raise TemplateError(f"a topic has 1 to {MAX_TOPIC} characters")
    for place, level in enumerate(levels):
        if level == "#" and place < len(levels) - 1:
            raise TemplateError("# stands for all that follows, so it can only be the last level")
        plain = level not in ("+", "#") and not _NAME.fullmatch(level)
        if plain and any(mark in level for mark in "+#{}"):
            raise TemplateError(f"level {level!r}: a placeholder {{name}}, + or # fills a level alone")
    template = TopicTemplate(text, levels)
    if len(set(template.names)) < len(template.names):
        raise TemplateError("a placeholder stands twice in it")
    if overlap(template.filter, OWN_TOPICS):
        raise TemplateError(f"it would take topics of Tidemark itself ({ROOT}/…); write its first levels out")
    return template


def is_filter(text: str) -> bool:
    """Whether a text is an MQTT topic filter.

    >>> is_filter("tele/+/#"), is_filter("tele/#/x"), is_filter("tele+")
    (True, False, False)
    """
    levels = text.split("/")
    wild = [level for level in levels if "#" in level or "+" in level]
    return bool(text) and "\0" not in text and "#" not in levels[:-1] and all(level in ("+", "#") for level in wild)


def overlap(one: str, other: str) -> bool:
    """Whether some topic matches both filters.

    >>> overlap("a/+/c", "a/b/#"), overlap("a/+", "a/b/c")
    (True, False)
    """
    ones, others = one.split("/"), other.split("/")
    for left, right in zip(ones, others, strict=False):
        if "#" in (left, right):
            return True
        if "+" not in (left, right) and left != right:
            return False
    longer = max(ones, others, key=len)
    shorter = min(len(ones), len(others))
    # "a/#" also means "a" itself.
    return len(ones) == len(others) or longer[shorter] == "#"


def covers(one: str, other: str) -> bool:
    """Whether every topic that matches the filter `other` matches `one` too.

    >>> covers("a/#", "a/+/c"), covers("a/+/c", "a/#"), covers("+/b/+", "a/+/c")
    (True, False, False)
    """
    ones, others = one.split("/"), other.split("/")
    for left, right in zip(ones, others, strict=False):
        if left == "#":
            return True
        if right == "#" or left not in ("+", right):
            return False
    return len(ones) == len(others) or ones[len(others) :] == ["#"]
