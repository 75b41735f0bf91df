"""Which gateways there may be, and what the broker reads of them."""

import base64

import pytest

from deploy.local.gate.error import GateError
from deploy.local.gate.passwords import ALPHABET, Hashed, hashed, new_password
from deploy.local.gate.registry import Gateway, Registry, checked_name, checked_topic
from deploy.local.gate.security import document, letting_in, role_of, shutting_out


def gateway(name: str, site: str = "plant-1", *publish: str) -> Gateway:
    return Gateway(site, name, 1_000, publish, Hashed(f"hash-of-{name}", "salt", 101))


@pytest.mark.parametrize("name", ["pi-7", "Ofen_ü", "a.b~c", "x" * 64, "plug@7", "pi-tidemark"])
def test_names_that_can_be_used(name: str) -> None:
    assert checked_name("gateway", name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "+",
        "#",
        "a/b",
        "a+",
        "a#",
        "$SYS",
        "a b",
        "a\tb",
        "a\nb",
        "a\x00b",
        "a\x7fb",
        "a:b",
        "x" * 65,
        "a\u2028b",
        "a\x85b",
        "a'b",
        'a"b',
        "a\\b",
        "tidemark",
        "tidemark-bridge",
        "Tidemark-x",
        "bridge-of-ours",
    ],
)
def test_names_that_can_not(name: str) -> None:
    with pytest.raises(GateError, match="can't be used"):
        checked_name("gateway", name, ["bridge-of-ours"])


def test_a_site_may_be_called_as_tidemark_is() -> None:
    assert checked_name("site", "tidemark") == "tidemark"


@pytest.mark.parametrize("topic", ["tele/plug-7/#", "shellies/+/relay", "/a", "a b/c", "zigbee2mqtt/x", "Tidemark/x"])
def test_topics_that_may_be_published_on(topic: str) -> None:
    assert checked_topic(topic) == topic


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "#",
        "+/#",
        "+/v1/#",
        "tidemark",
        "tidemark/#",
        "tidemark/v1/s/g/packs",
        "$SYS/x",
        "$CONTROL/#",
        "$share/g/x",
        "a/#/b",
        "a+",
        "a\nuser x",
        "a\rb",
        " a",
        "a ",
        "x" * 401,
        "a\x00",
        "+/+/+/+/packs",
    ],
)
def test_topics_that_may_not(topic: str) -> None:
    with pytest.raises(GateError, match="--publish"):
        checked_topic(topic)


def test_a_name_is_given_once() -> None:
    registry = Registry().added(gateway("pi-7"))
    with pytest.raises(GateError, match="--new-password"):
        registry.added(gateway("pi-7"))
    with pytest.raises(GateError, match=r"at site plant-1 already; revoke it first \(tidemark gateways revoke pi-7\)"):
        registry.added(gateway("pi-7", "plant-2"))


def test_a_topic_is_one_gateways() -> None:
    registry = Registry().added(gateway("plug-7", "s", "tele/plug-7/#"))
    with pytest.raises(GateError, match=r"tele/\+/STATE would take topics of plug-7"):
        registry.added(gateway("plug-8", "s", "stat/x", "tele/+/STATE"))
    assert registry.added(gateway("plug-8", "s", "tele/plug-8/#")).get("plug-8").publish == ("tele/plug-8/#",)


def test_a_new_password_is_for_one_that_is_there() -> None:
    registry = Registry().added(gateway("a")).added(gateway("b"))
    changed = registry.with_password("plant-1", "a", Hashed("new", "salt", 101))
    assert [one.password.hash for one in changed.gateways] == ["new", "hash-of-b"]
    for site, name in (("plant-2", "a"), ("plant-1", "c")):
        with pytest.raises(GateError, match="there is no gateway"):
            registry.with_password(site, name, Hashed("new", "salt", 101))


def test_revoking() -> None:
    registry = Registry().added(gateway("a")).added(gateway("b"))
    assert [one.name for one in registry.without("a").gateways] == ["b"]
    with pytest.raises(GateError, match="there is no gateway c; there are a, b"):
        registry.without("c")
    with pytest.raises(GateError, match="none was added yet"):
        Registry().without("c")


def allowed(acls: list[dict[str, object]], kind: str) -> list[object]:
    assert all(one["allow"] is True for one in acls)
    return [one["topic"] for one in acls if one["acltype"] == kind]


def test_a_gateway_may_use_its_own_topics_and_no_other() -> None:
    registry = Registry().added(gateway("a", "s")).added(gateway("plug", "s", "tele/plug/#"))
    found = document(registry, Hashed("h", "s", 101), Hashed("h2", "s2", 101))
    refused = ("publishClientSend", "publishClientReceive", "subscribe")
    assert not any(found["defaultACLAccess"][kind] for kind in refused)
    roles = {role["rolename"]: role["acls"] for role in found["roles"]}
    users = {one["username"]: one["roles"] for one in found["clients"]}
    assert users["a"] == [{"rolename": role_of("a")}]
    mine = roles[role_of("a")]
    assert allowed(mine, "publishClientSend") == [f"tidemark/v1/s/a/{kind}" for kind in ("packs", "series/+", "status")]
    assert allowed(mine, "publishClientReceive") == allowed(mine, "subscribeLiteral") == ["tidemark/v1/s/a/ack"]
    assert len(mine) == 5
    assert "tele/plug/#" in allowed(roles[role_of("plug")], "publishClientSend")


def test_only_one_user_may_change_users_and_may_nothing_else() -> None:
    found = document(Registry(), Hashed("h", "s", 101), Hashed("h2", "s2", 101))
    roles = {role["rolename"]: role["acls"] for role in found["roles"]}
    topics = {name: {one["topic"] for one in acls} for name, acls in roles.items()}
    assert topics == {"services": {"#", "$SYS/#"}, "admin": {"$CONTROL/dynamic-security/v1/#"}}
    assert allowed(roles["services"], "publishClientSend") == ["#"], "which is not $SYS and not $CONTROL"
    assert [(one["username"], one["password"]) for one in found["clients"]] == [
        ("tidemark", "h"),
        ("tidemark-gate", "h2"),
    ]


def test_commands_make_what_the_file_would_hold() -> None:
    one = gateway("a", "s", "tele/a/#")
    role, client = letting_in(one, "secret")
    written = document(Registry().added(one), Hashed("h", "s", 101), Hashed("h2", "s2", 101))
    assert role == {"command": "createRole", **written["roles"][-1]}
    assert client["command"] == "createClient"
    assert client["password"] == "secret"
    assert client["roles"] == written["clients"][-1]["roles"]
    assert [each["command"] for each in shutting_out("a")] == ["deleteClient", "deleteRole"]


def test_passwords_are_long_and_differ() -> None:
    found = {new_password() for _ in range(1_000)}
    assert len(found) == 1_000
    assert all(len(one) >= 28 and set(one) <= set(ALPHABET) for one in found)
    assert len(set(ALPHABET)) ** 28 > 2**128


def test_a_hash_is_what_mosquitto_passwd_writes() -> None:
    # mosquitto_passwd -b FILE pi secret, of mosquitto 2.0.11
    recorded = Hashed(
        "IBbU2h/aMBDoMLqCm/5Rw2Dgzc+pCcJ6RK68L2Uo9drEqs+FezbRbIJ/+s+c1rG7cJWreKT8+Spt4rvWteLMYg==",
        "2UAhb7cmqNuJhXqd",
        101,
    )
    assert hashed("secret", base64.b64decode(recorded.salt)) == recorded
    assert hashed("secret") != hashed("secret"), "each has a salt of its own"
