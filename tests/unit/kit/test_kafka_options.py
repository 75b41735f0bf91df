"""How topics are created: retention, stamps, compaction."""

from connectors.kit.kafka import topic_options, topic_partitions
from connectors.kit.settings import Settings, TopicSettings
from connectors.wire.topics import ALERT_EVENTS, KAFKA_TOPICS, READINGS, RULES

BY_NAME = {topic.name: topic for topic in KAFKA_TOPICS}


def test_readings_keep_seven_days_or_ten_gibibytes() -> None:
    options = topic_options(BY_NAME[READINGS], Settings())
    assert options["retention.ms"] == str(7 * 86_400_000)
    assert int(options["retention.bytes"]) * topic_partitions(BY_NAME[READINGS], Settings()) == 10 * 2**30
    assert options["message.timestamp.type"] == "CreateTime"


def test_readings_take_any_stamp_because_the_bridge_is_the_judge() -> None:
    assert topic_options(BY_NAME[READINGS], Settings())["message.timestamp.after.max.ms"] == str(2**63 - 1)


def test_alert_events_are_kept_for_ever_by_the_brokers_stamp() -> None:
    options = topic_options(BY_NAME[ALERT_EVENTS], Settings())
    assert (options["retention.ms"], options["message.timestamp.type"]) == ("-1", "LogAppendTime")


def test_rules_are_compacted() -> None:
    assert topic_options(BY_NAME[RULES], Settings())["cleanup.policy"] == "compact"


def test_keep_everything_means_everything() -> None:
    settings = Settings(topics=TopicSettings(keep_everything=True))
    for topic in KAFKA_TOPICS:
        options = topic_options(topic, settings)
        assert (options["retention.ms"], options["retention.bytes"]) == ("-1", "-1")
