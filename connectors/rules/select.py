"""Which series a rule covers: globs on where a series is and what it is."""

import re
from collections.abc import Callable, Mapping
from fnmatch import translate

FIELDS = ("site", "gateway", "device", "quantity", "unit")
"""What a selector can name, in the order of `matcher`'s arguments."""

GATEWAY_FIELDS = ("site", "gateway")
"""What a selector can name in a rule on gateways."""

Matcher = Callable[[str, str, str, str, str], bool]


def matcher(select: Mapping[str, str]) -> Matcher:
    """Return whether a series (site, gateway, device, quantity, unit) is selected; every field named must match.

    Globs are those of `fnmatch`, with case: `*`, `?`, `[abc]`. An empty selector selects everything.

    >>> hot = matcher({"site": "plant-*", "quantity": "temperature"})
    >>> hot("plant-1", "gw-7", "press-3", "temperature", "Cel"), hot("lab", "gw-7", "press-3", "temperature", "Cel")
    (True, False)
    """
    patterns = [(FIELDS.index(name), re.compile(translate(glob))) for name, glob in select.items()]

    def matches(*fields: str) -> bool:
        return all(pattern.match(fields[place]) for place, pattern in patterns)

    return matches
