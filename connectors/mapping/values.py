"""Values as devices write them: numbers, numbers in quotes, true and false, words that a mapping lists."""

import math
import re
from collections.abc import Mapping
from typing import Any

from connectors.mapping.refusal import Refusal, quoted

_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)
"""A decimal number; Python's `float` would also take nan, 1_000 and digits of other scripts."""


def number(value: Any, words: Mapping[str, float]) -> float:
    """Return a value as a finite number.

    Parameters
    ----------
    words
        What texts stand for, for example `{"ON": 1, "OFF": 0}`.

    Raises
    ------
    Refusal
        `bad-value`.

    >>> number("21.5", {}), number(True, {}), number("ON", {"ON": 1})
    (21.5, 1.0, 1.0)
    """
    if isinstance(value, str):
        text = value.strip()
        if text in words:
            return float(words[text])
        if not _NUMBER.fullmatch(text):
            raise Refusal("bad-value", f"{quoted(value)} is no number" + (" and no listed word" if words else ""))
        value = float(text)
    if not isinstance(value, int | float):
        raise Refusal("bad-value", f"{quoted(value)} is no number")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise Refusal("bad-value", f"{quoted(value)} is not finite")
    return result
