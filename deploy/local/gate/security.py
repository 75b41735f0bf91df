"""What each user may do at the broker, for mosquitto's dynamic security plugin. Pure.

The plugin and not a password file with an access list: with those, mosquitto 2.0 grants every subscription, and reads
changes only on SIGHUP, which damages its memory where it keeps sessions of clients that are away.
"""

from collections.abc import Mapping
from typing import Any

from connectors.wire.topics import gateway_topic
from deploy.local.effective import SERVICE_USER
from deploy.local.gate.passwords import Hashed
from deploy.local.gate.registry import Gateway, Registry

ADMIN_USER = "tidemark-gate"
"""Who may change users; for the commands alone, and not for what they may do otherwise."""

CONTROL = "$CONTROL/dynamic-security/v1"
SERVICE_ROLE = "services"
ADMIN_ROLE = "admin"
MAY_ALL = ("publishClientSend", "publishClientReceive", "subscribePattern")

Json = dict[str, Any]


def document(registry: Registry, service: Hashed, admin: Hashed) -> Json:
    """Return the plugin's file: Tidemark's services may all but `$CONTROL`, a gateway its own topics alone."""
    refused = ("publishClientSend", "publishClientReceive", "subscribe")
    return {
        "defaultACLAccess": dict.fromkeys(refused, False) | {"unsubscribe": True},
        "clients": [
            _client(SERVICE_USER, SERVICE_ROLE) | _stored(service),
            _client(ADMIN_USER, ADMIN_ROLE) | _stored(admin),
            *(_client(one.name, role_of(one.name)) | _stored(one.password) for one in registry.gateways),
        ],
        "groups": [],
        "roles": [
            {"rolename": SERVICE_ROLE, "acls": _acls({kind: ["#"] for kind in MAY_ALL}) + _reading("$SYS/#")},
            {"rolename": ADMIN_ROLE, "acls": _acls({kind: [f"{CONTROL}/#"] for kind in MAY_ALL})},
            *(_role(one) for one in registry.gateways),
        ],
    }


def letting_in(gateway: Gateway, password: str) -> list[Json]:
    """Return the plugin's commands that let a gateway in."""
    client = _client(gateway.name, role_of(gateway.name)) | {"password": password}
    return [{"command": "createRole", **_role(gateway)}, {"command": "createClient", **client}]


def shutting_out(name: str) -> list[Json]:
    """Return the commands that shut a gateway out; the plugin then closes its connection."""
    return [{"command": "deleteClient", "username": name}, {"command": "deleteRole", "rolename": role_of(name)}]


def role_of(name: str) -> str:
    """Return the name of a gateway's role."""
    return f"gateway-{name}"


def _client(name: str, role: str) -> Json:
    return {"username": name, "roles": [{"rolename": role}]}


def _stored(password: Hashed) -> Json:
    return {"password": password.hash, "salt": password.salt, "iterations": password.iterations}


def _role(gateway: Gateway) -> Json:
    packs, series, status, ack = (
        gateway_topic(gateway.site, gateway.name, *kind) for kind in (["packs"], ["series", "+"], ["status"], ["ack"])
    )
    may = {
        "publishClientSend": [packs, series, status, *gateway.publish],
        "publishClientReceive": [ack],
        "subscribeLiteral": [ack],
    }
    return {"rolename": role_of(gateway.name), "acls": _acls(may)}


def _reading(topic: str) -> list[Json]:
    return _acls({"publishClientReceive": [topic], "subscribePattern": [topic]})


def _acls(may: Mapping[str, list[str]]) -> list[Json]:
    return [
        {"acltype": kind, "topic": topic, "priority": 0, "allow": True}
        for kind, topics in may.items()
        for topic in topics
    ]
