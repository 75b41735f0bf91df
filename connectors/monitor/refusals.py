"""What the MQTT broker refused, by its log. Pure.

The lines are those of mosquitto 2.0 with its log types error, notice, subscribe and debug. Of a refused publish there
is a line. Of a refused subscription there is none, but one is missing: `id qos topic` after the topic asked for.
"""

import re
from typing import Literal, get_args

Reason = Literal["credentials", "topic", "subscription", "tls", "protocol", "size", "connections"]
REASONS: tuple[Reason, ...] = get_args(Reason)

_STAMP = r"[^ ]+: "
_LEFT = "unexpected eof while reading"
"""OpenSSL's word for a peer that goes without a goodbye, as each power cut is: nobody was refused."""

_PATTERNS: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    # Topics hold what a client likes, but no line break, so a line is known by how it begins.
    ("topic", re.compile(_STAMP + r"Denied PUBLISH from ")),
    ("credentials", re.compile(_STAMP + r"Client \S+ disconnected, not authorised\.$")),
    ("tls", re.compile(_STAMP + r"OpenSSL Error\[0\]: ")),
    ("tls", re.compile(_STAMP + r"Client connection from \S+ failed: ")),
    ("connections", re.compile(_STAMP + r"Client connection from \S+ denied: max_connections exceeded\.$")),
    ("size", re.compile(_STAMP + r"Client \S+ disconnected due to oversize packet\.$")),
    ("protocol", re.compile(_STAMP + r"Client \S+ disconnected due to (?:protocol error|malformed packet)\.$")),
)
_SUBSCRIBE = re.compile(_STAMP + r"Received SUBSCRIBE from ")
_ASKED = re.compile(_STAMP + r"\t(.+) \(QoS [012]\)$")
_GRANTED = re.compile(_STAMP + r"\S+ [012] (.+)$")


def refusal(line: str) -> Reason | None:
    """Return why the broker refused somebody something, if that is what one line says.

    >>> refusal("2026-01-01T00:00:00: Client <unknown> disconnected, not authorised.")
    'credentials'
    """
    for reason, pattern in _PATTERNS:
        if pattern.match(line):
            return None if reason == "tls" and _LEFT in line else reason
    return None


class Refusals:
    """Reads the log line by line, as the broker, which does one thing after the other, wrote it."""

    def __init__(self) -> None:
        self._in_subscribe = False
        self._asked = ""

    def read(self, line: str) -> Reason | None:
        """Take the next line in, and return why the broker refused something, if that is known now."""
        if self._in_subscribe:
            return self._subscription(line)
        self._in_subscribe = _SUBSCRIBE.match(line) is not None
        return None if self._in_subscribe else refusal(line)

    def _subscription(self, line: str) -> Reason | None:
        granted = _GRANTED.match(line)
        if self._asked and granted and granted[1] == self._asked:
            self._asked = ""
            return None
        refused = bool(self._asked)
        asked = _ASKED.match(line)
        self._asked = asked[1] if asked else ""
        if asked is None:  # SUBACK, or the end of a connection that broke in the middle
            self._in_subscribe = _SUBSCRIBE.match(line) is not None
            # Not lost where one line ends a subscription and tells of another refusal: the broker closes the
            # connection then, and what it asked for last is not judged.
            return refusal(line) or ("subscription" if refused else None)
        return "subscription" if refused else None
