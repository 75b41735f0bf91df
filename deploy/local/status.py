"""What `tidemark status` shows: parts, job, and how much of the fleet is still being learned."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec

from connectors.kit.settings import Settings
from deploy.local.health import get_json
from deploy.local.part import Part
from deploy.local.processes import pss_kib
from deploy.local.stack import SUPERVISOR, Stack, StackError
from deploy.local.supervisor import State

if TYPE_CHECKING:
    from confluent_kafka import Message

NO_WATERMARK = -(2**63)
"""Flink's watermark before the first."""
ANSWER_S = 2.0
READ_S = 5.0
"""Reading the newest records takes a fraction of a second; `status` must not wait for a Kafka that hangs."""
SUMMARIES_LOOKED_AT = 8
"""The last record of a partition may be a transaction's marker, so some before it are read too."""


class PartStatus(msgspec.Struct, frozen=True):
    """A part. `state` is healthy, unhealthy, starting, restarting or stopped; `pss_mib` counts shared memory once."""

    name: str
    state: str
    pid: int | None
    uptime_s: int
    pss_mib: float
    address: str
    problem: str


class JobStatus(msgspec.Struct, frozen=True):
    """The job. `watermark_lag_ms` is how far its event time lies behind the clock; None before the first watermark."""

    name: str
    id: str
    state: str
    uptime_s: int
    restarts: int
    checkpoints: int
    failed_checkpoints: int
    last_checkpoint_ms_ago: int | None
    last_checkpoint_bytes: int
    watermark_lag_ms: int | None


class Learning(msgspec.Struct, frozen=True):
    """How much of the fleet is still being learned, by the newest window of each shard.

    `windows_left` is that of the series that has to wait longest, of the `windows` that its slowest detector learns.
    """

    series: int
    learning: int
    windows_left: int
    windows: int


class StackStatus(msgspec.Struct, frozen=True):
    """Everything."""

    folder: str
    up: bool
    pss_mib: float
    parts: list[PartStatus]
    jobs: list[JobStatus]
    learning: Learning | None


def stack_status(stack: Stack) -> StackStatus:
    """Ask everything at the same time."""
    states = stack.states()
    pids = stack.pids() if states else {}
    with ThreadPoolExecutor(12, "status") as pool:
        learning = pool.submit(_guarded_learning, stack.settings, states)
        jobs = pool.submit(job_statuses, stack.settings, states)
        listed = stack.parts.values()
        parts = list(pool.map(lambda part: _part_status(stack, part, states, pids.get(part.name, [])), listed))
        total = sum(part.pss_mib for part in parts) + _mib(pids.get(SUPERVISOR, []))
        return StackStatus(str(stack.folder), bool(states), round(total, 1), parts, jobs.result(), learning.result())


def _mib(pids: list[int]) -> float:
    return round(pss_kib(pids) / 1024, 1)


def _part_status(stack: Stack, part: Part, states: dict[str, State], pids: list[int]) -> PartStatus:
    state = states.get(part.name)
    if state is None or state.state not in ("RUNNING", "STARTING", "BACKOFF"):
        return PartStatus(part.name, "stopped", None, 0, 0.0, part.address, "")
    try:
        pid = stack.pid(part.name)
    except StackError:
        return PartStatus(part.name, "restarting", None, 0, 0.0, part.address, state.detail)
    problem = part.check()
    word = "healthy" if problem is None else "unhealthy" if state.state == "RUNNING" else "starting"
    return PartStatus(part.name, word, pid, state.since_s, _mib(pids), part.address, problem or "")


def job_statuses(settings: Settings, states: dict[str, State]) -> list[JobStatus]:
    """Return the jobs that the cluster lists; none when it doesn't answer (its part says so)."""
    if "jobmanager" not in states and "flink" in settings.stack.parts:
        return []
    base = f"http://{settings.flink.rest}/jobs"
    try:
        jobs = get_json(f"{base}/overview")["jobs"]
        return [_job_status(settings, base, job) for job in jobs]
    except (OSError, ValueError):
        return []


def _job_status(settings: Settings, base: str, job: dict[str, Any]) -> JobStatus:
    detail = get_json(f"{base}/{job['jid']}")
    checkpoints = get_json(f"{base}/{job['jid']}/checkpoints")
    last = (checkpoints.get("latest") or {}).get("completed") or {}
    restarts = get_json(f"{base}/{job['jid']}/metrics?get=numRestarts")
    vertices = [vertex["id"] for vertex in detail["vertices"]]
    ended = job["state"] in ("FINISHED", "CANCELED", "FAILED")
    watermark = None if ended else _watermark(base, job["jid"], vertices)
    acknowledged = last.get("latest_ack_timestamp")
    return JobStatus(
        name=job["name"],
        id=job["jid"],
        state=job["state"].lower(),
        uptime_s=int(detail["duration"] / 1000),
        restarts=int(float(restarts[0]["value"])) if restarts else 0,
        checkpoints=checkpoints.get("counts", {}).get("completed", 0),
        failed_checkpoints=checkpoints.get("counts", {}).get("failed", 0),
        last_checkpoint_ms_ago=None if acknowledged is None else int(time.time() * 1000) - acknowledged,
        last_checkpoint_bytes=last.get("state_size", 0),
        watermark_lag_ms=None if watermark is None else settings.clock.build().now_ms() - watermark,
    )


def _watermark(base: str, job: str, vertices: list[str]) -> int | None:
    """Return the lowest watermark of any subtask that has one."""
    found = [
        int(entry["value"])
        for vertex in vertices
        for entry in get_json(f"{base}/{job}/vertices/{vertex}/watermarks")
        if int(entry["value"]) > NO_WATERMARK
    ]
    return min(found, default=None)


def _guarded_learning(settings: Settings, states: dict[str, State]) -> Learning | None:
    from confluent_kafka import KafkaException

    if not states:
        return None
    try:
        return learning(settings)
    except KafkaException:
        return None  # Kafka is down, and its part says so


def learning(settings: Settings) -> Learning | None:
    """Read the newest summary of each shard; None if there is none. Raises `KafkaException`."""
    from connectors.wire.summary import WindowSummary
    from connectors.wire.topics import WINDOW_SUMMARIES
    from connectors.wire.versions import from_msgpack

    newest = {
        message.partition(): from_msgpack(WindowSummary, message.value())
        for message in newest_records(settings, WINDOW_SUMMARIES, SUMMARIES_LOOKED_AT)
    }
    if not newest:
        return None
    left = [windows for summary in newest.values() for windows in summary.learning]
    slowest = max(left, default=0)
    version = max(summary.rule_version for summary in newest.values())
    return Learning(
        len(left), sum(1 for windows in left if windows), slowest, _warm_up(settings, version) if slowest else 0
    )


def _warm_up(settings: Settings, version: int) -> int:
    """Return how many windows the slowest detector of a rule set learns; 0 if the set is not to be found."""
    from connectors.wire.ruleset import RuleSet
    from connectors.wire.topics import RULES
    from connectors.wire.versions import from_json
    from jobs.windows.rules import compile_rules

    records = [message.value() for message in newest_records(settings, RULES, 1000)]
    sets = compile_rules([from_json(RuleSet, value) for value in records if value is not None]).sets
    return max((rule.detector.warm_up for one in sets if one.version == version for rule in one.rules), default=0)


def newest_records(settings: Settings, topic: str, count: int) -> list["Message"]:
    """Return the last committed records of each partition, at most `count` of each, in order within a partition.

    Fewer where transactions' markers lie between them. Raises `KafkaException`.
    """
    from confluent_kafka import Consumer, TopicPartition

    from connectors.kit.kafka import client_options

    own = {"group.id": "tidemark-status", "enable.auto.commit": False, "enable.partition.eof": True, "log_level": 0}
    consumer = Consumer(client_options(settings.kafka) | own)
    found: list[Message] = []
    try:
        pending: set[int] = set()
        places = []
        for partition in consumer.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_S)
            if high > low:
                pending.add(partition)
                places.append(TopicPartition(topic, partition, max(low, high - count)))
        consumer.assign(places)
        deadline = time.monotonic() + READ_S
        while pending and time.monotonic() < deadline:
            for message in consumer.consume(500, 0.2):
                if message.error() is None:
                    found.append(message)
                else:  # the end of the partition
                    pending.discard(message.partition())
    finally:
        consumer.close()
    return found
