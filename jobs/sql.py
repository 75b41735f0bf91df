"""The job's SQL: its two sources, the one query that decides late and forms windows, its four sinks. Only text."""

from collections.abc import Mapping
from pathlib import Path

from connectors.wire import topics
from jobs.options import Options
from jobs.spread import shard_keys

TRANSACTION_TIMEOUT_MS = 600_000
"""Within it a job that went down must be back: a transaction older than this is aborted by Kafka. Its default, an hour,
is more than brokers allow."""

ALERT, SUMMARY, LATE, DEAD = range(4)
"""Tags of what the judge puts out, one sink each."""

SINKS = {
    ALERT: topics.ALERT_EVENTS,
    SUMMARY: topics.WINDOW_SUMMARIES,
    LATE: topics.LATE_READINGS,
    DEAD: topics.DEAD_LETTERS,
}
JUDGED = "judged"
"""The view over the judge's output."""


def read_properties(path: Path | None) -> dict[str, str]:
    """Read a Java properties file (`key=value` lines, `#` comments).

    Raises
    ------
    OSError
        If it can't be read.
    ValueError
        If a line is no `key=value`.
    """
    if path is None:
        return {}
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip()
        if not text or text[0] in "#!":
            continue
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{path}:{number}: not key=value")
        found[key.strip()] = value.strip()
    return found


def readings_table(options: Options, properties: Mapping[str, str]) -> str:
    """Return the source of readings: raw bytes, with the watermark made in the JVM for each partition.

    A record without a value is passed on as empty bytes, so that it is seen (as a dead letter) and not lost in silence.
    """
    start = {"scan.startup.mode": "earliest-offset"}
    if options.start_ms is not None:
        start = {"scan.startup.mode": "timestamp", "scan.startup.timestamp-millis": str(options.start_ms)}
    return f"""CREATE TEMPORARY TABLE readings (
        `record` BYTES,
        `shard` INT METADATA FROM 'partition' VIRTUAL,
        `place` BIGINT METADATA FROM 'offset' VIRTUAL,
        `ts` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
        WATERMARK FOR `ts` AS `ts` - {interval(options.disorder_ms)}
    ) WITH ({_with(_kafka(options, properties, topics.READINGS) | start | {"format": "raw"})})"""


def rules_table(options: Options, properties: Mapping[str, str]) -> str:
    """Return the source of rule sets.

    Its watermark and idle timeout serve what is below: without them the judge's own watermark would stand still.
    """
    more = {
        "scan.startup.mode": "earliest-offset",
        "scan.watermark.idle-timeout": "1 s",
        "key.format": "raw",
        "key.fields": "version",
        "value.format": "raw",
        "value.fields-include": "EXCEPT_KEY",
    }
    return f"""CREATE TEMPORARY TABLE rules (
        `version` STRING,
        `body` BYTES,
        `ts` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
        WATERMARK FOR `ts` AS `ts`
    ) WITH ({_with(_kafka(options, properties, topics.RULES, group="rules") | more)})"""


def on_time_view(options: Options) -> str:
    """Return the view of what is not late (TUMBLE takes a table or a view, no subquery)."""
    return f"CREATE TEMPORARY VIEW on_time AS SELECT * FROM readings WHERE NOT {_late(options)}"  # noqa: S608


def windows_query(options: Options) -> str:
    """Return the one query over readings: a row for each (shard, window), and one for each late record.

    Late means that the window's last millisecond is at or before the watermark, which is when the window operator has
    fired it. One query has one source and one decision: each record is in a window or late, never both, never neither.
    """
    value = "ROW<`shard` INT, `ms` BIGINT, `records` ARRAY<BYTES>, `first` BIGINT, `last` BIGINT, `late` BOOLEAN>"
    key = f"ARRAY[{', '.join(map(str, shard_keys(options.shards)))}][shard + 1]"
    record = "COALESCE(`record`, X'')"
    return f"""
        SELECT {key} AS k,
               CAST(ROW(shard, {_epoch_ms("window_time")}, records, low, high, FALSE) AS {value}) AS v
        FROM (SELECT shard, window_time, ARRAY_AGG({record}) AS records, MIN(place) AS low, MAX(place) AS high
              FROM TABLE(TUMBLE(TABLE on_time, DESCRIPTOR(ts), {interval(options.window_ms)}))
              GROUP BY shard, window_start, window_end, window_time)
        UNION ALL
        SELECT {key} AS k,
               CAST(ROW(shard, {_epoch_ms("ts")}, ARRAY[{record}], place, place, TRUE) AS {value}) AS v
        FROM readings WHERE {_late(options)}"""  # noqa: S608 - numbers of ours


def sink_table(options: Options, properties: Mapping[str, str], tag: int) -> str:
    """Return the sink of one tag; alert events carry CloudEvents headers."""
    exactly_once = {
        "sink.delivery-guarantee": "exactly-once",
        "sink.transactional-id-prefix": f"{options.transactional_prefix}-{sink_name(tag)}",
        # Reuses transactional ids. The default takes new ones at each checkpoint, which Kafka remembers for a week.
        "sink.transaction-naming-strategy": "pooling",
        "properties.transaction.timeout.ms": str(TRANSACTION_TIMEOUT_MS),
    }
    more = {
        "key.format": "raw",
        "key.fields": "key",
        "value.format": "raw",
        "value.fields-include": "EXCEPT_KEY",
        "properties.compression.type": "lz4",
        **(exactly_once if options.delivery == "exactly-once" else {"sink.delivery-guarantee": "at-least-once"}),
    }
    headers = ", `headers` MAP<STRING, BYTES> METADATA" if tag == ALERT else ""
    return f"""CREATE TEMPORARY TABLE {sink_name(tag)} (`key` BYTES, `body` BYTES{headers}) WITH (
        {_with(_kafka(options, properties, SINKS[tag], group=None) | more)})"""


def sink_insert(tag: int) -> str:
    """Return the statement that fills the sink of one tag."""
    headers = ", headers" if tag == ALERT else ""
    return f"INSERT INTO {sink_name(tag)} SELECT `key`, `body`{headers} FROM {JUDGED} WHERE tag = {tag}"  # noqa: S608


def sink_name(tag: int) -> str:
    """Return the table's name, the topic's middle.

    >>> sink_name(ALERT)
    'alert_events'
    """
    return SINKS[tag].split(".")[1].replace("-", "_")


def interval(milliseconds: int) -> str:
    """Return a SQL interval.

    >>> interval(900_000), interval(250)
    ("INTERVAL '0 00:15:00.000' DAY(3) TO SECOND(3)", "INTERVAL '0 00:00:00.250' DAY(3) TO SECOND(3)")
    """
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"INTERVAL '{days} {hours:02d}:{minutes:02d}:{seconds:02d}.{rest:03d}' DAY(3) TO SECOND(3)"


def _late(options: Options) -> str:
    # Before the first watermark nothing is late; NOT of this is exactly the rest, NULL included.
    return f"(CURRENT_WATERMARK(ts) IS NOT NULL AND {_last_instant('ts', options.window_ms)} <= CURRENT_WATERMARK(ts))"


def _epoch_ms(column: str) -> str:
    seconds = f"CAST(EXTRACT(EPOCH FROM {column}) AS BIGINT) * 1000"
    return f"({seconds} + CAST(EXTRACT(MILLISECOND FROM {column}) AS BIGINT))"


def _last_instant(column: str, window_ms: int) -> str:
    return f"TO_TIMESTAMP_LTZ(({_epoch_ms(column)} / {window_ms} + 1) * {window_ms} - 1, 3)"


def _kafka(
    options: Options, properties: Mapping[str, str], topic: str, group: str | None = "readings"
) -> dict[str, str]:
    named = {"connector": "kafka", "topic": topic, "properties.bootstrap.servers": options.bootstrap}
    if group is not None:
        # Committed offsets are for people and monitors; the job's own lie in its checkpoints.
        named["properties.group.id"] = f"{options.transactional_prefix}-{group}"
        named["scan.topic-partition-discovery.interval"] = "0"  # shards are fixed when created
    return named | {f"properties.{key}": value for key, value in properties.items()}


def _with(options: Mapping[str, str]) -> str:
    return ", ".join(f"{_quoted(key)} = {_quoted(value)}" for key, value in options.items())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
