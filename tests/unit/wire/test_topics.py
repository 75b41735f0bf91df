"""MQTT topics are put together and taken apart."""

import pytest

from connectors.wire.topics import gateway_topic, parse_gateway_topic


def test_topic_round_trip() -> None:
    found = parse_gateway_topic(gateway_topic("plant", "gw", "series", "0f"))
    assert found is not None
    assert (found.site, found.gateway, found.kind, found.rest) == ("plant", "gw", "series", "0f")


@pytest.mark.parametrize(
    "topic", ["", "tidemark/v1", "tidemark/v2/s/g/packs", "tidemark/v1/s//packs", "tidemark/v1/s/g/a/b/c"]
)
def test_foreign_topic_is_none(topic: str) -> None:
    assert parse_gateway_topic(topic) is None
