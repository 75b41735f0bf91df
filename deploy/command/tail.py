"""`tidemark tail`: any topic of Tidemark, decoded."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, TopicPartition

METADATA_TIMEOUT_S = 5.0
"""A Kafka that is not there is reported after this, not waited for."""
POLL_S = 0.5
"""How soon Ctrl-C is noticed while nothing comes."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tail", rich_help_panel="Looking")(tail)


def tail(
    topic: Annotated[
        str, typer.Argument(help="A topic, its prefix and version may be left out: readings, alert-events.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, with place, key and headers.")
    ] = False,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Begin with the oldest record.")] = False,
    maximum: Annotated[int | None, typer.Option("--max", min=1, help="End after so many records.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Go on with what comes, or end at the newest record.")
    ] = True,
) -> None:
    """Show a topic's records as they come, decoded. Example: tidemark tail alert-events --from-beginning --json."""
    import msgspec

    from connectors.kit.settings import load_settings
    from deploy.local.decode import full_name

    try:
        name = full_name(topic)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="TOPIC") from error
    show = _as_object if as_json else _as_text
    for shown, message in enumerate(_records(load_settings(), name, from_beginning, follow), start=1):
        line = show(name, message)
        print(line if isinstance(line, str) else msgspec.json.encode(line).decode(), flush=True)
        if shown == maximum:
            return


def _records(settings: Any, topic: str, from_beginning: bool, follow: bool) -> Iterator["Message"]:
    """Yield committed records; without `follow`, those that lay there at the start."""
    from confluent_kafka import Consumer

    from connectors.kit.kafka import client_options

    options = client_options(settings.kafka) | {
        "group.id": "tidemark-tail",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "log_level": 0,
    }
    consumer = Consumer(options)
    try:
        places, ends = _places(consumer, settings.kafka.bootstrap, topic, from_beginning)
        consumer.assign(places)
        while follow or _before_end(consumer, places, ends):
            message = consumer.poll(POLL_S)
            if message is None:
                continue
            if message.error() is not None:
                print(f"tidemark: {message.error().str()}", file=sys.stderr)
            elif follow or message.offset() < ends[message.partition()]:
                yield message
    finally:
        consumer.close()


def _places(
    consumer: "Consumer", bootstrap: str, topic: str, from_beginning: bool
) -> tuple[list["TopicPartition"], dict[int, int]]:
    """Return where to begin, and each partition's end now.

    Raises
    ------
    Unreachable
        If Kafka doesn't answer.
    CommandFailed
        If the topic doesn't exist.
    """
    from confluent_kafka import KafkaException, TopicPartition

    from connectors.kit.service import Unreachable
    from deploy.command.exits import CommandFailed

    try:
        found = consumer.list_topics(topic, timeout=METADATA_TIMEOUT_S).topics[topic]
        if found.error is not None:
            raise CommandFailed(f"{topic} does not exist at {bootstrap}; tidemark up creates it")
        ends, places = {}, []
        for number in found.partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=METADATA_TIMEOUT_S)
            ends[number] = high
            places.append(TopicPartition(topic, number, low if from_beginning else high))
    except KafkaException as error:
        reason = error.args[0].str()
        raise Unreachable(f"Kafka at {bootstrap} does not answer ({reason}); is it up? tidemark status") from error
    return places, ends


def _before_end(consumer: "Consumer", places: list["TopicPartition"], ends: dict[int, int]) -> bool:
    """Whether a partition has not been read up to its end; transactions' markers count as read."""
    now = {place.partition: place.offset for place in consumer.position(places)}
    start = {place.partition: place.offset for place in places}
    return any(max(now[number], start[number]) < end for number, end in ends.items())


def _as_object(topic: str, message: "Message") -> dict[str, Any]:
    from deploy.local.decode import decode_value, text_or_base64

    _, stamp = message.timestamp()
    return {
        "topic": topic,
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp_ms": stamp,
        "key": None if message.key() is None else text_or_base64(message.key()),
        "headers": {name: text_or_base64(value) for name, value in message.headers() or [] if value is not None},
        "value": decode_value(topic, message.value()),
    }


def _as_text(topic: str, message: "Message") -> str:
    import msgspec

    record = _as_object(topic, message)
    stamp = datetime.fromtimestamp(record["timestamp_ms"] / 1000, UTC).isoformat(timespec="milliseconds")
    said = [f"{stamp} {record['partition']}@{record['offset']}"]
    if record["key"] is not None:
        said.append(f"key={record['key']}")
    said += [f"{name}={value}" for name, value in record["headers"].items()]
    return " ".join(said) + "\n    " + msgspec.json.encode(record["value"]).decode()
