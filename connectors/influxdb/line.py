r"""InfluxDB's line protocol, for names that anyone may have chosen.

Line protocol can carry a comma, a space and an equals sign in a tag (each behind a backslash), but neither a line
break nor a backslash at the end. So control characters and backslashes are written as in a URL (`%0A`), and a `%` that
would read as such is written `%25`: two different names never become one.
"""

import re
from hashlib import sha256

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]|%(?=[0-9A-Fa-f]{2})")
_SPECIAL = re.compile(r"([,= ])")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")

NS_IN_MS = 1_000_000


def plain_tag(name: str) -> str:
    r"""Return the name as it will read in InfluxDB.

    >>> plain_tag("press 3, left"), plain_tag("a\nb"), plain_tag("50%25")
    ('press 3, left', 'a%0Ab', '50%2525')
    """
    return _UNSAFE.sub(lambda found: f"%{ord(found.group()):02X}", name)


def original_name(tag: str) -> str:
    r"""Return the name that `plain_tag` was given.

    >>> original_name("a%0Ab")
    'a\nb'
    """
    return _ENCODED.sub(lambda found: chr(int(found.group(1), 16)), tag)


def tag_value(name: str) -> str:
    r"""Return the name as line protocol writes it.

    >>> tag_value("a,b=c d")
    'a\\,b\\=c\\ d'
    """
    return _SPECIAL.sub(r"\\\1", plain_tag(name))


def tags(**names: str) -> str:
    r"""Return `,key=value…` of the names that are not empty: InfluxDB refuses an empty tag.

    >>> tags(site="plant-1", gateway="gw 7", device="")
    ',site=plant-1,gateway=gw\\ 7'
    """
    return "".join(f",{key}={tag_value(name)}" for key, name in names.items() if name)


def string_field(text: str) -> str:
    r"""Return text as a field; line breaks may stay, as they are between quotes.

    >>> string_field('say "no"')
    '"say \\"no\\""'
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def tie_break_ns(event_id: str) -> int:
    """Return 0 … 999,999 ns, a hash of the event's id, so that two events of one millisecond are two points.

    It stays under a millisecond, so a point's time, cut to milliseconds, is the window's end.

    >>> tie_break_ns("e-1") == tie_break_ns("e-1") != tie_break_ns("e-2")
    True
    """
    return int.from_bytes(sha256(event_id.encode()).digest()[:8], "big") % NS_IN_MS
