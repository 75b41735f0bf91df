"""Why a message, or one reading of it, is not what its mapping says. The only exception that a message can cause."""

from connectors.wire.ledger import DeadReason

MAX_DETAIL = 400
"""Characters: a detail quotes payloads, which may be long."""


class Refusal(Exception):
    """A message or reading that can't be used.

    Attributes
    ----------
    reason
        One of the dead letters' closed set.
    detail
        For people: what was expected, and what came.
    """

    def __init__(self, reason: DeadReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}"[:MAX_DETAIL])
        self.reason: DeadReason = reason
        self.detail = detail[:MAX_DETAIL]


def quoted(value: object, most: int = 60) -> str:
    """Return a value of a payload as text for a detail, cut to `most` characters.

    >>> quoted("x" * 100, 10)
    "'xxxxxx..."
    """
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # Endless nesting; an integer of thousands of digits.
        return f"a {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most - 3]}..."
