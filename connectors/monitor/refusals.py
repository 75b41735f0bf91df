"""What the MQTT broker refused, by its log: one line, one reason. Pure.

The lines are those of mosquitto 2.0 with its log types error, notice, subscribe and debug.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from connectors.mapping.topics import covers

Reason = Literal["credentials", "topic", "subscription", "tls", "protocol", "size", "connections"]
REASONS: tuple[Reason, ...] = get_args(Reason)

Grants = Mapping[str, Sequence[str]]
"""User → topic filters that it may read. A gateway's user name is its client id."""

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
_SUBSCRIBED = re.compile(_STAMP + r"(\S+) [012] (.+)$")
_SHARED = re.compile(r"\$share/[^/]*/(.+)")


def refusal(line: str, grants: Grants) -> Reason | None:
    """Return why the broker refused somebody something, if that is what a line says.

    mosquitto grants every subscription and then delivers nothing that the user may not read, so a subscription to more
    than that counts as refused.

    >>> refusal("2026-01-01T00:00:00: Client <unknown> disconnected, not authorised.", {})
    'credentials'
    >>> refusal("2026-01-01T00:00:00: pi-7 1 #", {"pi-7": ["tidemark/v1/plant-1/pi-7/ack"]})
    'subscription'
    """
    for reason, pattern in _PATTERNS:
        if pattern.match(line):
            return None if reason == "tls" and _LEFT in line else reason
    subscribed = _SUBSCRIBED.match(line)
    if subscribed is None or subscribed[1] not in grants:
        return None
    shared = _SHARED.fullmatch(subscribed[2])
    wanted = shared[1] if shared else subscribed[2]
    return None if any(covers(granted, wanted) for granted in grants[subscribed[1]]) else "subscription"


def read_grants(acl: str) -> dict[str, list[str]]:
    r"""Return what each user may read, from mosquitto's access list.

    >>> read_grants("user a\ntopic read x/#\ntopic write y\n\nuser b\ntopic readwrite #\n")
    {'a': ['x/#'], 'b': ['#']}
    """
    grants: dict[str, list[str]] = {}
    user = None
    for line in acl.splitlines():
        word, _, rest = line.partition(" ")
        if word == "user":
            user = rest
            grants.setdefault(user, [])
        elif word == "topic" and user is not None:
            access, _, topic = rest.partition(" ")
            if access in ("read", "readwrite"):
                grants[user].append(topic)
    return grants
