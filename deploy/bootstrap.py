"""What must lie in Kafka and InfluxDB before the services start: topics, a database, the first rule set. Repeatable."""

import json
import time
import urllib.parse
import urllib.request

from connectors.kit.kafka import client_options, create_topics
from connectors.kit.settings import Settings
from connectors.wire.topics import RULES
from connectors.wire.versions import to_json

TIMEOUT_S = 15.0
"""A broker that has just started needs some seconds to lead its partitions."""

QUIET = {"log_level": 0}
"""What goes wrong is raised; librdkafka's own lines would stand among what `up` says."""


def make_topics(settings: Settings) -> list[str]:
    """Create the missing topics, and publish the default rules where there are none; return what was made."""
    made = create_topics(settings)
    if publish_default_rules(settings):
        made.append("default rules")
    return [name.removeprefix("tidemark.").removesuffix(".v1") for name in made]


def make_database(settings: Settings) -> list[str]:
    """Create the embedded InfluxDB's database, set its retention, and return its name.

    Raises
    ------
    OSError
        If InfluxDB doesn't answer or refuses.
    """
    days = settings.stack.influx_retention_days
    name = settings.influxdb.bucket.replace("\\", "\\\\").replace('"', '\\"')
    _influx_query(settings, f'CREATE DATABASE "{name}"')
    _influx_query(settings, f'ALTER RETENTION POLICY "autogen" ON "{name}" DURATION {f"{days}d" if days else "INF"}')
    return [settings.influxdb.bucket]


def _influx_query(settings: Settings, query: str) -> None:
    body = urllib.parse.urlencode({"q": query}).encode()
    with urllib.request.urlopen(f"{settings.influxdb.url}/query", body, timeout=TIMEOUT_S) as answer:  # noqa: S310
        results = json.load(answer)["results"]
    errors = [result["error"] for result in results if "error" in result]
    if errors:
        raise OSError(f"InfluxDB refuses {query}: {'; '.join(errors)}")


def publish_default_rules(settings: Settings) -> bool:
    """Publish the shipped rule set if no rule set was ever published; return whether it was."""
    if _end_of_rules(settings) > 0:
        return False
    _publish_rules(settings)
    return True


def _end_of_rules(settings: Settings) -> int:
    """Return the offset after the last rule set."""
    from confluent_kafka import KafkaException, TopicPartition
    from confluent_kafka.admin import AdminClient, OffsetSpec

    client = AdminClient(client_options(settings.kafka) | QUIET)
    partition = TopicPartition(RULES, 0)
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return int(client.list_offsets({partition: OffsetSpec.latest()})[partition].result(TIMEOUT_S).offset)
        except KafkaException:
            # A partition that was made a moment ago may have no leader yet.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _publish_rules(settings: Settings) -> None:
    from confluent_kafka import Producer

    from connectors.rules.load import load_rules

    rule_set = load_rules()
    failures: list[str] = []
    client = Producer(client_options(settings.kafka) | QUIET | {"acks": "all"})
    client.produce(
        RULES,
        to_json(rule_set),
        key=str(rule_set.version).encode(),
        on_delivery=lambda error, _: failures.append(str(error)) if error is not None else None,
    )
    if client.flush(TIMEOUT_S) or failures:
        raise OSError(f"the default rules can't be published: {'; '.join(failures) or 'no answer from Kafka'}")
