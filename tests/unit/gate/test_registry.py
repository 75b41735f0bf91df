"""Which gateways there may be, and what the broker reads of them."""

import base64

import pytest

from deploy.local.gate.acl import acl_text, passwords_text
from deploy.local.gate.error import GateError
from deploy.local.gate.passwords import ALPHABET, hashed, new_password
from deploy.local.gate.registry import Gateway, Registry, checked_name, checked_topic


def gateway(name: str, site: str = "plant-1", *publish: str) -> Gateway:
    return Gateway(site, name, 1_000, publish, f"hash-of-{name}")


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
    changed = registry.with_hash("plant-1", "a", "new")
    assert [one.hash for one in changed.gateways] == ["new", "hash-of-b"]
    for site, name in (("plant-2", "a"), ("plant-1", "c")):
        with pytest.raises(GateError, match="there is no gateway"):
            registry.with_hash(site, name, "new")


def test_revoking() -> None:
    registry = Registry().added(gateway("a")).added(gateway("b"))
    assert [one.name for one in registry.without("a").gateways] == ["b"]
    with pytest.raises(GateError, match="there is no gateway c; there are a, b"):
        registry.without("c")
    with pytest.raises(GateError, match="none was added yet"):
        Registry().without("c")


def test_the_access_list_gives_a_gateway_its_own_topics_and_no_other() -> None:
    registry = Registry().added(gateway("a", "s")).added(gateway("plug", "s", "tele/plug/#"))
    blocks = acl_text(registry).split("\n\n")
    assert [block.splitlines()[0] for block in blocks[1:]] == ["user a", "user plug"]
    assert blocks[0].splitlines()[1:] == ["user tidemark", "topic readwrite #", "topic read $SYS/#"]
    assert blocks[1].splitlines()[1:] == [
        "topic write tidemark/v1/s/a/packs",
        "topic write tidemark/v1/s/a/series/+",
        "topic write tidemark/v1/s/a/status",
        "topic read tidemark/v1/s/a/ack",
    ]
    assert "topic write tele/plug/#" in blocks[2].splitlines()
    assert passwords_text(registry, "h") == "tidemark:h\na:hash-of-a\nplug:hash-of-plug\n"


def test_passwords_are_long_and_differ() -> None:
    found = {new_password() for _ in range(1_000)}
    assert len(found) == 1_000
    assert all(len(one) >= 28 and set(one) <= set(ALPHABET) for one in found)
    assert len(set(ALPHABET)) ** 28 > 2**128


def test_a_hash_is_what_mosquitto_passwd_writes() -> None:
    # mosquitto_passwd -b FILE pi secret, of mosquitto 2.0.11
    recorded = (
        "$7$101$2UAhb7cmqNuJhXqd$IBbU2h/aMBDoMLqCm/5Rw2Dgzc+pCcJ6RK68"
        "L2Uo9drEqs+FezbRbIJ/+s+c1rG7cJWreKT8+Spt4rvWteLMYg=="
    )
    assert hashed("secret", base64.b64decode(recorded.split("$")[3])) == recorded
    assert hashed("secret") != hashed("secret"), "each has a salt of its own"
