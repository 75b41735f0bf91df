"""All mappings of a file: which of them a topic belongs to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connectors.mapping.compiled import CompiledMapping
from connectors.mapping.mapped import Mapped
from connectors.mapping.topics import topic_template


@dataclass(frozen=True, slots=True)
class Match:
    """A topic and what is to be done with its messages.

    Attributes
    ----------
    mapping
        None: they are to be ignored.
    named
        The topic's placeholders.
    """

    mapping: CompiledMapping | None
    named: dict[str, str]

    def home(self) -> tuple[str, str]:
        """Return site and gateway. Raises `Refusal`."""
        return ("", "") if self.mapping is None else self.mapping.home(self.named)

    def apply(self, payload: bytes) -> Mapped:
        """Return what is in a message. Raises `Refusal`."""
        return Mapped() if self.mapping is None else self.mapping.apply(self.named, payload)


class Mappings:
    """The mappings of a file. Where templates cross (`tele/+/x`, `+/status/+`), the first that fits has the topic."""

    def __init__(self, mappings: Sequence[CompiledMapping] = (), ignore: Sequence[str] = ()) -> None:
        self._mappings = tuple(mappings)
        self._ignore = tuple(topic_template(text) for text in ignore)

    def __iter__(self) -> Iterator[CompiledMapping]:
        return iter(self._mappings)

    def __len__(self) -> int:
        return len(self._mappings)

    @property
    def filters(self) -> tuple[str, ...]:
        """What to subscribe to."""
        return tuple(mapping.topic.filter for mapping in self._mappings)

    def match(self, topic: str) -> Match | None:
        """Return what a topic belongs to, or None."""
        for mapping in self._mappings:
            named = mapping.topic.match(topic)
            if named is not None:
                ignored = any(one.match(topic) is not None for one in self._ignore)
                return Match(None, {}) if ignored else Match(mapping, named)
        return None
