"""What each user may do at the broker, in mosquitto's form."""

from connectors.wire.topics import gateway_topic
from deploy.local.effective import SERVICE_USER
from deploy.local.gate.registry import Gateway, Registry


def acl_text(registry: Registry) -> str:
    """Return mosquitto's access list: Tidemark's services may all but `$CONTROL`, a gateway its own topics alone."""
    services = f"user {SERVICE_USER}\ntopic readwrite #\ntopic read $SYS/#\n"
    head = "# Written by Tidemark; tidemark gateways changes it.\n"
    return "\n".join([head + services, *(_gateway_text(one) for one in registry.gateways)])


def _gateway_text(gateway: Gateway) -> str:
    may_write = [_topic(gateway, "packs"), _topic(gateway, "series", "+"), _topic(gateway, "status"), *gateway.publish]
    lines = [f"user {gateway.name}", *(f"topic write {topic}" for topic in may_write)]
    return "\n".join([*lines, f"topic read {_topic(gateway, 'ack')}", ""])


def _topic(gateway: Gateway, kind: str, rest: str = "") -> str:
    return gateway_topic(gateway.site, gateway.name, kind, rest)


def passwords_text(registry: Registry, service_hash: str) -> str:
    """Return mosquitto's password file."""
    lines = [f"{SERVICE_USER}:{service_hash}", *(f"{one.name}:{one.hash}" for one in registry.gateways)]
    return "\n".join(lines) + "\n"
