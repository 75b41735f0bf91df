"""The Kafka port: confluent-kafka for the hot path, kafka-python for administration, one set of settings for both."""

from typing import Any

from confluent_kafka import Consumer, Producer

from connectors.kit.settings import KafkaSettings, Settings
from connectors.wire.topics import DAY_MS, KAFKA_TOPICS, KafkaTopic

TRANSACTION_TIMEOUT_MS = 600_000
"""How long an unfinished transaction of the job may block readers; longer than its longest restart."""


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Return librdkafka's connection options."""
    options: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap,
        "security.protocol": kafka.security_protocol,
        # A dead broker is an event for the metrics, not a line a second in the log.
        "log.connection.close": False,
    }
    if kafka.security_protocol.startswith("SASL"):
        options["sasl.mechanism"] = kafka.sasl_mechanism
        options["sasl.username"] = kafka.username
        options["sasl.password"] = kafka.secret()
    if kafka.ca_file is not None:
        options["ssl.ca.location"] = str(kafka.ca_file)
    return options


def producer(kafka: KafkaSettings, **overrides: Any) -> Producer:
    """Return an idempotent producer that waits for all replicas and puts keys where Java's producers do.

    Options in `overrides` have underscores for dots: `linger_ms=0`.
    """
    options = client_options(kafka) | {
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "linger.ms": 5,
        # Longer than a broker's restart; what is not delivered by then is reported as failed, never dropped silently.
        "message.timeout.ms": 300_000,
    }
    return Producer(options | _dotted(overrides))


def consumer(kafka: KafkaSettings, group: str, **overrides: Any) -> Consumer:
    """Return a consumer that reads committed records from the earliest and commits only what it is told to."""
    options = client_options(kafka) | {
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": False,
        # A service that was killed is missed for so long, and its successor waits as long (the default is 45 s).
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 3_000,
        # Bounds what a consumer that fell behind holds in memory.
        "queued.max.messages.kbytes": 65_536,
    }
    return Consumer(options | _dotted(overrides))


def admin(kafka: KafkaSettings) -> Any:
    """Return kafka-python's admin client."""
    from kafka import KafkaAdminClient

    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap.split(","),
        "security_protocol": kafka.security_protocol,
        "client_id": "tidemark-admin",
    }
    if kafka.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = kafka.sasl_mechanism
        options["sasl_plain_username"] = kafka.username
        options["sasl_plain_password"] = kafka.secret()
    if kafka.ca_file is not None:
        options["ssl_cafile"] = str(kafka.ca_file)
    return KafkaAdminClient(**options)


def topic_options(topic: KafkaTopic, settings: Settings) -> dict[str, str]:
    """Return the options a topic is created with."""
    keep_ms = -1 if settings.topics.keep_everything or topic.retention_days is None else topic.retention_days * DAY_MS
    partitions = topic_partitions(topic, settings)
    keep_bytes = (
        -1 if settings.topics.keep_everything or topic.retention_bytes is None else topic.retention_bytes // partitions
    )
    options = {
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "message.timestamp.type": "CreateTime" if topic.stamp == "event" else "LogAppendTime",
        "retention.ms": str(keep_ms),
        "retention.bytes": str(keep_bytes),
        # Retention works by segment: a quarter of the limit keeps the overshoot small.
        "segment.bytes": str(min(2**30, max(2**20, keep_bytes // 4)) if keep_bytes > 0 else 2**30),
    }
    if topic.stamp == "event":
        # The bridge judges what time can be (`time.future_limit_ms`); a second judge with another limit would make the
        # producer fail for ever on a record that the bridge took.
        options["message.timestamp.after.max.ms"] = str(2**63 - 1)
        options["message.timestamp.before.max.ms"] = str(2**63 - 1)
    return options


def topic_partitions(topic: KafkaTopic, settings: Settings) -> int:
    """Return the number of partitions a topic is created with."""
    return settings.topics.shards if topic.sharded else topic.partitions


def create_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing and return their names. One that exists is left as it is.

    Raises
    ------
    ValueError
        If a sharded topic exists with another number of partitions than `topics.shards`.
    """
    from confluent_kafka.admin import AdminClient, NewTopic

    client = AdminClient(client_options(settings.kafka))
    existing = client.list_topics(timeout=10).topics
    for topic in KAFKA_TOPICS:
        found = existing.get(topic.name)
        if topic.sharded and found is not None and len(found.partitions) != settings.topics.shards:
            raise ValueError(
                f"{topic.name} has {len(found.partitions)} partitions but topics.shards is {settings.topics.shards}; "
                "shards are fixed when the topic is created"
            )
    wanted = [
        NewTopic(
            topic.name,
            num_partitions=topic_partitions(topic, settings),
            replication_factor=settings.kafka.replication,
            config=topic_options(topic, settings),
        )
        for topic in KAFKA_TOPICS
        if topic.name not in existing
    ]
    if not wanted:
        return []
    return [name for name, created in client.create_topics(wanted).items() if _created(created)]


def _created(created: Any) -> bool:
    """Wait for one topic's creation; False if another process was first."""
    from confluent_kafka import KafkaError, KafkaException

    try:
        created.result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise
    return True


def _dotted(options: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "."): value for name, value in options.items()}
