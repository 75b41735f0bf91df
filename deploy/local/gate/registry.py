"""Which gateways there are, and what is refused as one. Pure."""

import re
from collections.abc import Sequence

import msgspec

from connectors.mapping.topics import MAX_TOPIC, is_filter, overlap
from connectors.wire.topics import ROOT
from deploy.local.gate.error import GateError
from deploy.local.gate.passwords import Hashed

RESERVED = "tidemark"
"""How the user name and the client ids of Tidemark's own services begin, and so no gateway's name."""

_NAME = re.compile(r"[^/+#$:\"'\\\s\x00-\x1f\x7f]{1,64}")
_OWN_TOPICS = f"{ROOT.partition('/')[0]}/#"


class Gateway(msgspec.Struct, frozen=True):
    """A gateway that may log in; its name is its user name and its MQTT client id.

    Attributes
    ----------
    since_ms
        When it was added.
    publish
        Topic filters, beside Tidemark's own, on which it may publish.
    password
        What is kept of its password.
    """

    site: str
    name: str
    since_ms: int
    publish: tuple[str, ...]
    password: Hashed


class Registry(msgspec.Struct, frozen=True):
    """All gateways, in the order in which they were added."""

    v: int = 1
    gateways: tuple[Gateway, ...] = ()

    def find(self, name: str) -> Gateway | None:
        """Return the gateway of a name."""
        return next((one for one in self.gateways if one.name == name), None)

    def get(self, name: str) -> Gateway:
        """Return the gateway of a name. Raises `GateError` if there is none."""
        found = self.find(name)
        if found is None:
            known = ", ".join(one.name for one in self.gateways)
            raise GateError(f"there is no gateway {name}; " + (f"there are {known}" if known else "none was added yet"))
        return found

    def added(self, new: Gateway) -> "Registry":
        """Return a registry that has `new` too.

        Raises
        ------
        GateError
            If its name is taken, or a topic of its is another's.
        """
        known = self.find(new.name)
        if known is not None:
            where = "" if known.site == new.site else f" at site {known.site}"
            raise GateError(
                f"there is a gateway {new.name}{where} already; revoke it first (tidemark gateways revoke {new.name})"
                + ("" if where else ", or give it a new password (--new-password)")
            )
        for other in self.gateways:
            for theirs in other.publish:
                for ours in new.publish:
                    if overlap(ours, theirs):
                        raise GateError(f"--publish {ours} would take topics of {other.name}, which has {theirs}")
        return Registry(self.v, (*self.gateways, new))

    def with_password(self, site: str, name: str, new: Hashed) -> "Registry":
        """Return a registry where a gateway has another password. Raises `GateError` if there is none at that site."""
        known = self.find(name)
        if known is None or known.site != site:
            raise GateError(f"there is no gateway {name} at site {site}; add it without --new-password")
        return Registry(
            self.v, tuple(msgspec.structs.replace(one, password=new) if one is known else one for one in self.gateways)
        )

    def without(self, name: str) -> "Registry":
        """Return a registry without a gateway. Raises `GateError` if there is none."""
        gone = self.get(name)
        return Registry(self.v, tuple(one for one in self.gateways if one is not gone))


def checked_name(kind: str, name: str, reserved: Sequence[str] = ()) -> str:
    """Return the name of a site or gateway.

    Raises
    ------
    GateError
        If it could be no level of a topic and no user name, or is one of Tidemark's own.
    """
    if not (_NAME.fullmatch(name) and name.isprintable()):
        raise GateError(f"{kind} {name!r} can't be used: 1 to 64 characters without blanks, quotes, \\ / + # $ and :")
    if kind == "gateway" and (name.lower().startswith(RESERVED) or name in reserved):
        raise GateError(f"gateway {name!r} can't be used: names of Tidemark's own begin so; choose another")
    return name


def checked_topic(topic: str) -> str:
    """Return a filter on which a gateway may publish, beside Tidemark's own topics.

    Raises
    ------
    GateError
        If it is none, or reaches topics that are not its to write.
    """
    printable = topic == topic.strip() and topic.isprintable() and len(topic) <= MAX_TOPIC
    if not printable or not is_filter(topic):
        raise GateError(f"--publish {topic!r} is no MQTT topic filter; # is a last level, + any level")
    if topic.startswith("$"):
        raise GateError(f"--publish {topic}: topics that begin with $ are the broker's own")
    if overlap(topic, _OWN_TOPICS):
        raise GateError(f"--publish {topic} would take Tidemark's own topics ({_OWN_TOPICS}); write its levels out")
    return topic
