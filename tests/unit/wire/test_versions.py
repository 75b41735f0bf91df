"""Older versions are lifted, newer ones refused, garbage named."""

from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.wire import versions
from connectors.wire.pack import Pack
from connectors.wire.versions import WireError


class Gauge(msgspec.Struct, frozen=True, kw_only=True):
    VERSION: ClassVar[int] = 3
    v: int = 3
    level_metres: float
    tank: str


@pytest.fixture(autouse=True)
def _upcasters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "UPCASTERS", {})

    @versions.upcaster("Gauge", 1)
    def _(body: dict[str, Any]) -> dict[str, Any]:
        return {"v": 2, "tank": body["tank"], "level_mm": body["level"] * 10}

    @versions.upcaster("Gauge", 2)
    def _(body: dict[str, Any]) -> dict[str, Any]:
        return {"v": 3, "tank": body["tank"], "level_metres": body["level_mm"] / 1000}


@pytest.mark.parametrize(
    "data",
    [
        b'{"v":1,"tank":"t","level":150}',
        b'{"v":2,"tank":"t","level_mm":1500}',
        b'{"v":3,"tank":"t","level_metres":1.5}',
    ],
)
def test_every_version_becomes_todays(data: bytes) -> None:
    assert versions.from_json(Gauge, data) == Gauge(level_metres=1.5, tank="t")


@pytest.mark.parametrize("version", [0, 4, -1])
def test_version_outside_the_known_is_refused(version: int) -> None:
    with pytest.raises(WireError) as caught:
        versions.from_json(Gauge, b'{"v":%d,"tank":"t","level_metres":1}' % version)
    assert caught.value.reason == "unknown-version"


def test_old_version_of_a_wrong_shape_is_malformed() -> None:
    with pytest.raises(WireError) as caught:
        versions.from_json(Gauge, b'{"v":2,"tank":7,"level_mm":1}')
    assert caught.value.reason == "malformed"


def test_missing_upcaster_is_named() -> None:
    del versions.UPCASTERS["Gauge", 2]
    with pytest.raises(WireError, match="version 2 has no upcaster"):
        versions.from_json(Gauge, b'{"v":1,"tank":"t","level":150}')


@given(st.binary(max_size=200))
def test_random_bytes_never_raise_anything_else(data: bytes) -> None:
    try:
        versions.from_either(Pack, data)
    except WireError:
        pass


@pytest.mark.parametrize("opener", [b"[", b'{"v":1,"values":['])
def test_deep_nesting_is_malformed(opener: bytes) -> None:
    with pytest.raises(WireError):
        versions.from_either(Pack, opener * 50_000)


@given(st.integers(1, 2**53), st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_pack_survives_both_encodings(seq: int, values: list[float]) -> None:
    pack = Pack(
        boot="b", seq=seq, table="t", base_ms=0, offsets_ms=[0] * len(values), series=[0] * len(values), values=values
    )
    assert versions.from_either(Pack, versions.to_json(pack)) == pack
    assert versions.from_either(Pack, versions.to_msgpack(pack)) == pack
