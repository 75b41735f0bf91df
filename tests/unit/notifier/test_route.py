"""Which subscriptions an event concerns."""

from pathlib import Path

import msgspec
import pytest

from connectors.notifier.stages import Notification, run_stages
from connectors.notifier.stages.route import route, wants
from connectors.notifier.subscriptions import LogChannel, Match, Subscription
from connectors.wire.alert import AlertEvent
from tests.support.samples import SAMPLES

EVENT = msgspec.structs.replace(
    SAMPLES[AlertEvent],
    site="plant-1",
    gateway="gw-7",
    device="press-3",
    quantity="temperature",
    rule_id="drift",
    severity="medium",
    transition="raised",
)


class Told:
    """A history in which every subscription was told of every alert, or none was."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer

    def was_told(self, subscription: str, alert_id: str) -> bool:
        return self.answer


def subscription(name: str = "one", **match: object) -> Subscription:
    return Subscription(name=name, match=Match(**match), channel=LogChannel(type="log", path=Path("x")))


@pytest.mark.parametrize(
    ("match", "is_wanted"),
    [
        ({}, True),
        ({"site": "plant-*"}, True),
        ({"site": "Plant-*"}, False),
        ({"gateway": "gw-8"}, False),
        ({"device": "press-[34]"}, True),
        ({"quantity": "humidity"}, False),
        ({"rule": "dr?ft"}, True),
        ({"min_severity": "medium"}, True),
        ({"min_severity": "high"}, False),
        ({"transitions": ("cleared",)}, False),
        ({"site": "plant-1", "rule": "stuck"}, False),
    ],
)
def test_every_field_counts(match: dict[str, object], is_wanted: bool) -> None:
    assert wants(Match(**match), EVENT) is is_wanted


def test_a_silent_gateway_has_no_device_and_still_matches_all() -> None:
    event = msgspec.structs.replace(EVENT, device="", quantity="")
    assert wants(Match(), event)
    assert not wants(Match(device="press-*"), event)


def test_each_subscription_that_wants_it_gets_it() -> None:
    found = route(EVENT, [subscription("a"), subscription("b", rule="stuck"), subscription("c")], Told(False))
    assert [each.subscription for each in found] == ["a", "c"]


@pytest.mark.parametrize("transition", ["deescalated", "cleared"])
def test_who_was_alarmed_hears_of_the_end_also_below_their_severity(transition: str) -> None:
    event = msgspec.structs.replace(EVENT, severity="low", transition=transition)
    strict = subscription(min_severity="critical")
    assert route(event, [strict], Told(True)) == [Notification("one", event)]
    assert route(event, [strict], Told(False)) == []


def test_the_end_is_not_sent_to_who_never_wanted_ends() -> None:
    event = msgspec.structs.replace(EVENT, severity="low", transition="cleared")
    assert route(event, [subscription(min_severity="high", transitions=("raised",))], Told(True)) == []


def test_a_rise_below_the_severity_is_not_sent_though_told_before() -> None:
    event = msgspec.structs.replace(EVENT, severity="low", transition="escalated")
    assert route(event, [subscription(min_severity="high")], Told(True)) == []


def test_stages_run_in_order() -> None:
    def mark(word: str):
        def stage(notifications, _history):
            return [Notification(each.subscription, each.event, each.suppressed + word) for each in notifications]

        return stage

    (only,) = run_stages([mark("a"), mark("b")], [Notification("one", EVENT)], Told(False))
    assert only.suppressed == "ab"
