"""Messages that were heard, with bounds on how much of them is kept."""

from collections import OrderedDict
from dataclasses import dataclass, field

MAX_TOPICS = 2_000
"""Topics kept; a broker with more is looked at topic by topic (`--topic`)."""

MAX_MESSAGES = 20
"""Messages kept of a topic, the newest."""

MAX_PAYLOAD = 65_536
"""Bytes, as the bridge takes by default."""


@dataclass(frozen=True, slots=True)
class HeardMessage:
    """One message.

    Attributes
    ----------
    retained
        Whether it lay at the broker before, so that its age is unknown.
    """

    payload: bytes
    received_ms: int
    retained: bool = False


@dataclass
class HeardTopic:
    """A topic's newest messages; `count` is of all."""

    topic: str
    count: int = 0
    messages: list[HeardMessage] = field(default_factory=list)


class Heard:
    """All that was heard.

    Attributes
    ----------
    messages
        How many, kept or not.
    topics_left_out
        Messages on topics beyond those that are kept.
    """

    def __init__(self) -> None:
        self._topics: OrderedDict[str, HeardTopic] = OrderedDict()
        self.messages = 0
        self.topics_left_out = 0

    def add(self, topic: str, payload: bytes, received_ms: int, retained: bool = False) -> None:
        """Take a message."""
        self.messages += 1
        known = self._topics.get(topic)
        if known is None:
            if len(self._topics) >= MAX_TOPICS:
                self.topics_left_out += 1
                return
            known = self._topics[topic] = HeardTopic(topic)
        known.count += 1
        known.messages.append(HeardMessage(payload[: MAX_PAYLOAD + 1], received_ms, retained))
        del known.messages[:-MAX_MESSAGES]

    def topics(self) -> list[HeardTopic]:
        """Return the topics in order of their names, so that the order of messages changes nothing."""
        return [self._topics[name] for name in sorted(self._topics)]
