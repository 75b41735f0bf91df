"""SenML's base fields and times (RFC 8428, section 4)."""

import pytest

from connectors.mapping.refusal import Refusal
from connectors.mapping.senml import resolve

T = 1_709_645_410


def test_base_fields_hold_until_they_are_replaced():
    records = resolve(
        [
            {"bn": "urn:dev:1:", "bt": T, "bu": "Cel", "n": "a", "v": 1},
            {"n": "b", "t": 5, "v": 2},
            {"bn": "urn:dev:2:", "bu": "%RH", "bv": 10, "n": "c", "v": 3},
        ]
    )
    one, two = ({"device": f"urn:dev:{number}"} for number in (1, 2))
    assert records == [
        one | {"n": "urn:dev:1:a", "u": "Cel", "quantity": "a", "t": T, "v": 1},
        one | {"n": "urn:dev:1:b", "u": "Cel", "quantity": "b", "t": T + 5, "v": 2},
        two | {"n": "urn:dev:2:c", "u": "%RH", "quantity": "c", "t": T, "v": 13},
    ]


def test_a_name_is_parted_where_it_can_be():
    names = [{"n": "urn:dev:mac:01/temp"}, {"bn": "urn:x", "n": ""}, {"bn": "", "n": "temp"}, {"bn": "a/", "n": "b"}]
    assert [(one.get("device"), one.get("quantity")) for one in resolve([one | {"v": 1} for one in names])] == [
        ("urn:dev:mac:01", "temp"),
        ("urn", "x"),
        (None, None),
        ("a", "b"),
    ]


def test_a_small_time_is_relative_to_now():
    assert resolve([{"n": "a", "t": -5, "v": 1}, {"n": "b", "v": 2}]) == [
        {"n": "a", "u": "", "since": -5, "v": 1},
        {"n": "b", "u": "", "since": 0, "v": 2},
    ]


def test_a_record_of_base_fields_alone_is_no_reading():
    assert resolve([{"bn": "x", "bt": T}, {"n": "a", "v": 1}]) == [
        {"n": "xa", "u": "", "device": "x", "quantity": "a", "t": T, "v": 1}
    ]


def test_strings_and_booleans_stay_as_they_are():
    assert [sorted(one) for one in resolve([{"n": "a", "vs": "on"}, {"n": "b", "vb": True}])] == [
        ["n", "since", "u", "vs"],
        ["n", "since", "u", "vb"],
    ]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({}, "malformed"),
        ([], "malformed"),
        ([1], "malformed"),
        ([{"n": 1, "v": 1}], "malformed"),
        ([{"n": "a", "t": "now", "v": 1}], "malformed"),
        ([{"bn": None, "n": "a"}], "malformed"),
        ([{"bt": "x", "n": "a"}], "malformed"),
        ([{"bt": None, "n": "a"}], "malformed"),
        ([{"bt": 10**400, "n": "a"}], "malformed"),
        ([{"bver": 11, "n": "a", "v": 1}], "unknown-version"),
        ([{"must_": 1, "n": "a", "v": 1}], "malformed"),
    ],
)
def test_what_is_no_senml_is_refused(message, reason):
    with pytest.raises(Refusal) as caught:
        resolve(message)
    assert caught.value.reason == reason
