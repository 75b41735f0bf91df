"""What mappings make of messages that were heard."""

from dataclasses import dataclass

from connectors.mapping.discover.heard import Heard, HeardMessage, HeardTopic
from connectors.mapping.mappings import Mappings, Match
from connectors.mapping.refusal import Refusal


@dataclass(frozen=True)
class PreviewReading:
    """A series, with its newest reading.

    Attributes
    ----------
    time_ms
        Event time; where `by_receipt`, of the message's receipt.
    """

    topic: str
    mapping: str
    site: str
    gateway: str
    device: str
    quantity: str
    unit: str
    value: float
    time_ms: int
    by_receipt: bool


@dataclass(frozen=True)
class PreviewFault:
    """What would become a dead letter; `messages` like it came on the topic."""

    topic: str
    reason: str
    detail: str
    messages: int


@dataclass(frozen=True)
class Preview:
    """Series and faults; `passed` counts messages that are let pass, `unmatched` those on no mapping's topic."""

    readings: list[PreviewReading]
    faults: list[PreviewFault]
    passed: int
    unmatched: int


def preview(heard: Heard, mappings: Mappings) -> Preview:
    """Return what the mappings make of the messages."""
    newest: dict[tuple[str, str, str, str], PreviewReading] = {}
    faults: dict[tuple[str, str], PreviewFault] = {}
    passed = unmatched = 0
    for topic in heard.topics():
        match = mappings.match(topic.topic)
        if match is None:
            unmatched += topic.count
            continue
        for message in topic.messages:
            readings, refusals = _applied(topic, message, match)
            passed += not readings and not refusals
            newest |= {(one.site, one.gateway, one.device, one.quantity): one for one in readings}
            for refusal in refusals:
                key = topic.topic, refusal.detail
                before = faults[key].messages if key in faults else 0
                faults[key] = PreviewFault(topic.topic, refusal.reason, refusal.detail, before + 1)
    return Preview(list(newest.values()), list(faults.values()), passed, unmatched)


def _applied(topic: HeardTopic, message: HeardMessage, match: Match) -> tuple[list[PreviewReading], list[Refusal]]:
    if match.mapping is None or not message.payload:
        return [], []
    try:
        site, gateway = match.home()
        mapped = match.apply(message.payload)
    except Refusal as refusal:
        return [], [refusal]
    readings = [
        PreviewReading(
            topic=topic.topic,
            mapping=match.mapping.spec.name,
            site=site,
            gateway=gateway,
            device=one.series.device,
            quantity=one.series.quantity,
            unit=one.series.unit,
            value=one.value,
            time_ms=message.received_ms + one.since_receipt_ms if one.time_ms is None else one.time_ms,
            by_receipt=one.time_ms is None,
        )
        for one in mapped.readings
    ]
    return readings, [bad.refusal for bad in mapped.bad]
