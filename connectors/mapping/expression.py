"""JMESPath expressions over any JSON, and texts with placeholders: `{name}` of the topic, `{=expression}` of the
message.
"""

import re
from collections.abc import Mapping
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from connectors.mapping.refusal import Refusal, quoted
from connectors.mapping.topics import TemplateError

MAX_NAME = 200
"""Characters of a site, gateway, device or quantity, as in series tables."""

_PART = re.compile(r"\{(=[^{}]+|[^{}]*)\}")


class Expression:
    """A JMESPath expression.

    Raises
    ------
    TemplateError
        If it can't be compiled.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._compiled = jmespath.compile(text)
        except (JMESPathError, RecursionError) as error:
            said = " ".join(str(error).split())
            raise TemplateError(f"{text!r} is no JMESPath expression: {said[:200]}") from error

    def find(self, value: Any) -> Any:
        """Return what it finds, None for nothing.

        Raises
        ------
        Refusal
            `malformed` where a function of the expression can't take what the message holds.
        """
        try:
            return self._compiled.search(value)
        except Exception as error:  # Its functions raise plain TypeErrors, OverflowErrors … for some JSON.
            said = " ".join(str(error).split())
            raise Refusal("malformed", f"{self.text!r} can't be applied: {said[:200]}") from error


class Text:
    """A text with placeholders.

    Parameters
    ----------
    text
        For example `plc-{line}` or `{=sensor.name}`.
    names
        The topic's placeholders.

    Raises
    ------
    TemplateError
        If it names another placeholder or holds a bad expression.
    """

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self.text = text
        self._pieces: list[tuple[str, str | Expression]] = []
        end = 0
        for found in _PART.finditer(text):
            self._literal(text[end : found.start()])
            self._placeholder(found[1], names)
            end = found.end()
        self._literal(text[end:])

    @property
    def from_message(self) -> bool:
        """Whether the message itself has a say, beside the topic."""
        return any(kind == "expression" for kind, _ in self._pieces)

    def _literal(self, text: str) -> None:
        if "{" in text or "}" in text:
            raise TemplateError(f"{self.text!r}: a brace without its other half")
        if text:
            self._pieces.append(("literal", text))

    def _placeholder(self, inside: str, names: tuple[str, ...]) -> None:
        if inside.startswith("="):
            self._pieces.append(("expression", Expression(inside[1:].strip())))
        elif inside in names:
            self._pieces.append(("name", inside))
        else:
            known = ", ".join(f"{{{name}}}" for name in names) or "none"
            raise TemplateError(f"{self.text!r}: {{{inside}}} is no placeholder of the topic ({known})")

    def fill(self, named: Mapping[str, str], item: Any = None, message: Any = None) -> str:
        """Return the text, filled in; an expression that finds nothing in the item is asked of the whole message.

        Raises
        ------
        Refusal
            `malformed` where an expression finds nothing, or something that is no text and no whole number.
        """
        return "".join(
            piece
            if isinstance(piece, str) and kind == "literal"
            else named[piece]
            if isinstance(piece, str)
            else _as_text(piece, item, message)
            for kind, piece in self._pieces
        )


def _as_text(expression: Expression, item: Any, message: Any) -> str:
    found = find_either(expression, item, message)
    if isinstance(found, str):
        return found
    if isinstance(found, int) and not isinstance(found, bool) and abs(found) < 2**63:
        return str(found)
    raise Refusal("malformed", f"{expression.text!r} gives no name but {quoted(found)}")


def find_either(expression: Expression, item: Any, message: Any) -> Any:
    """Return what an expression finds in the item, else in the whole message."""
    found = expression.find(item)
    return expression.find(message) if found is None and message is not item else found


def checked_name(kind: str, name: str) -> str:
    """Return a name, without spaces around it.

    Raises
    ------
    Refusal
        `malformed` if it is empty or too long, or a site or gateway that could be no level of a topic.
    """
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise Refusal("malformed", f"{kind} {quoted(name)} has {len(name)} characters; 1 to {MAX_NAME} are possible")
    if kind in ("site", "gateway") and any(mark in name for mark in "/+#\0"):
        raise Refusal("malformed", f"{kind} {quoted(name)} holds one of / + #")
    try:
        name.encode()
    except UnicodeEncodeError:  # JSON may escape half of a pair, which no UTF-8 can hold.
        raise Refusal("malformed", f"{kind} {quoted(name)} is no Unicode text") from None
    return name
