"""Times as devices write them."""

import pytest

from connectors.mapping.refusal import Refusal
from connectors.mapping.times import event_time_ms, zone
from connectors.mapping.topics import TemplateError

T = 1_709_645_410_000  # 2024-03-05T13:30:10Z


@pytest.mark.parametrize(
    ("value", "form", "default", "expected"),
    [
        ("2024-03-05T13:30:10Z", "iso8601", "", T),
        ("2024-03-05T14:30:10+01:00", "iso8601", "", T),
        ("2024-03-05T14:30:10", "iso8601", "Europe/Berlin", T),
        ("2024-03-05 13:30:10.250", "iso8601", "UTC", T + 250),
        ("2024-03-05T19:00:10", "iso8601", "+05:30", T),
        ("2024-03-05T13:30:10Z", "iso8601", "Europe/Berlin", T),
        ("20240305T133010Z", "iso8601", "", T),
        (" 2024-03-05T13:30:10Z ", "iso8601", "", T),
        (T, "epoch_ms", "", T),
        (T + 0.4, "epoch_ms", "", T),
        (str(T), "epoch_ms", "", T),
        (T // 1000, "epoch_s", "", T),
        (T / 1000 + 0.123, "epoch_s", "", T + 123),
        ("1709645410.5", "epoch_s", "", T + 500),
        (T * 1000 + 400, "epoch_us", "", T),
        (T * 1_000_000 + 1_600_000, "epoch_ns", "", T + 2),
    ],
)
def test_a_time_is_read(value, form, default, expected):
    assert event_time_ms(value, form, zone(default)) == expected


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("2024-03-05T13:30:10", "iso8601"),
        ("2024-03-05", "iso8601"),
        ("13:30", "iso8601"),
        ("yesterday", "iso8601"),
        ("", "iso8601"),
        ("0001-01-01T00:00:00+23:59", "iso8601-early"),
        (T, "iso8601"),
        (None, "iso8601"),
        ("2024-03-05T13:30:10Z", "epoch_s"),
        (True, "epoch_s"),
        ([], "epoch_ms"),
        (float("nan"), "epoch_s"),
        (float("inf"), "epoch_s"),
        (10**400, "epoch_ms"),
        ("9" * 30, "epoch_ms"),
    ],
)
def test_what_is_no_time_is_a_bad_time(value, form):
    if form == "iso8601-early":
        # Long before 1970, but a time; that it can't be is the bridge's to say.
        assert event_time_ms(value, "iso8601", None) < 0
        return
    with pytest.raises(Refusal) as caught:
        event_time_ms(value, form, None)
    assert caught.value.reason == "bad-time"


def test_summer_time_is_the_zones():
    berlin = zone("Europe/Berlin")
    summer = event_time_ms("2024-07-01T12:00:00", "iso8601", berlin)
    winter = event_time_ms("2024-12-01T12:00:00", "iso8601", berlin)
    assert (summer // 3_600_000 % 24, winter // 3_600_000 % 24) == (10, 11)


@pytest.mark.parametrize("name", ["Mars/Base", "+1", "+25:00", "../../etc/passwd", "/etc/passwd"])
def test_an_unknown_zone_is_refused(name):
    with pytest.raises(TemplateError, match="no zone"):
        zone(name)
