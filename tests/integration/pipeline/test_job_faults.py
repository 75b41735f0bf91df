"""Faults of the job under load: its output, read committed, is that of a run without faults."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from connectors.wire.topics import WINDOW_SUMMARIES
from tests.support import flink
from tests.support.load import load, settle, wait_packs
from tests.support.observe import Record, TooLate, TopicLog, wait_until
from tests.support.pipeline import Pipeline

pytestmark = pytest.mark.integration

BACK_S = 240.0
"""A new task manager is up within some ten seconds, its job a few later; a busy machine takes several times that."""
WORKER = "pyflink.fn_execution"


def workers(pipeline: Pipeline) -> list[int]:
    """Return the pids of Python workers, of whatever task manager, that belong to this stack."""
    found = []
    for pid in pipeline.stack.pids().get("taskmanager", []):
        try:
            if any(WORKER in argument for argument in psutil.Process(pid).cmdline()):
                found.append(pid)
        except psutil.Error:  # it ended meanwhile
            continue
    return found


def wait_running(pipeline: Pipeline, restarts_before: int) -> None:
    """Return when the job was restarted and all its tasks run again."""
    rest = pipeline.settings.flink.rest

    def back() -> bool:
        return flink.restarts(rest) > restarts_before and flink.is_running(rest)

    wait_until(back, BACK_S, "the job to run again", lambda: pipeline.stack.log_tail("jobmanager", 5), step_s=0.2)


@contextmanager
def fault_under_load(pipeline: Pipeline, outboxes: Path, name: str) -> Iterator[None]:
    """Run a load; the body does harm in its midst; check that all comes out as if nothing had been."""
    with load(pipeline, outboxes, name) as one:
        wait_packs(one, 0.3)
        before = flink.restarts(pipeline.settings.flink.rest)
        yield
        wait_running(pipeline, before)
        settle(pipeline, one)


def test_t17_task_manager_killed(pipeline: Pipeline, outboxes: Path) -> None:
    with fault_under_load(pipeline, outboxes, "t17"):
        old = workers(pipeline)
        pipeline.stack.kill("taskmanager")
        pipeline.stack.wait_healthy("taskmanager", BACK_S)
    assert not set(old) & set(psutil.pids()), "Python workers of the killed task manager live on"


def test_t18_python_worker_killed(pipeline: Pipeline, outboxes: Path) -> None:
    with fault_under_load(pipeline, outboxes, "t18"):
        old = workers(pipeline)
        assert old, "no Python worker was found"
        os.kill(old[0], signal.SIGKILL)
    left = workers(pipeline)
    assert old[0] not in left
    assert len(left) <= len(old), f"{len(old)} workers became {len(left)}"


def test_t20_killed_between_pre_commit_and_commit(pipeline: Pipeline, outboxes: Path) -> None:
    """The sinks flushed, the checkpoint is complete, nothing is committed: recovery commits exactly that, once."""
    held: list[Record] = []
    with fault_under_load(pipeline, outboxes, "t20"):
        held = stop_before_commit(pipeline)
        pipeline.stack.kill("taskmanager")
        pipeline.stack.wait_healthy("taskmanager", BACK_S)
    seen = {(record.partition, record.offset): record.value for record in pipeline.summaries.poll().records}
    # At the same offset: the transaction itself was committed, its records were not written again.
    assert all(seen.get((record.partition, record.offset)) == record.value for record in held)


def stop_before_commit(pipeline: Pipeline) -> list[Record]:
    """Stop the task manager after a checkpoint is complete and before it hears of that; return what hangs between.

    The job manager is stopped when it has begun a checkpoint. The task manager flushes, and its answer waits at the
    job manager's socket; then that one is stopped, and the job manager goes on and completes the checkpoint. Whether
    the first stop was in time is seen in Kafka: records from before the checkpoint began that are not committed.
    """
    stack = pipeline.stack
    for attempt in range(40):
        number = begun_checkpoint(pipeline)
        # From the folder to the order to the task manager it takes some milliseconds, many on a busy machine.
        time.sleep(0.002 * (attempt % 8) * (1 + attempt // 8))
        stack.kill("jobmanager", signal.SIGSTOP)
        time.sleep(0.7)
        stack.kill("taskmanager", signal.SIGSTOP)
        stack.kill("jobmanager", signal.SIGCONT)
        try:
            held = hanging(pipeline, number)
        except TooLate:  # the job manager was stopped before it gave the order
            held = []
        if held:
            return held
        stack.kill("taskmanager", signal.SIGCONT)
    raise AssertionError("never in time between pre-commit and commit in 40 checkpoints")


def begun_checkpoint(pipeline: Pipeline) -> int:
    """Return the number of a checkpoint at the moment when the job manager makes its folder."""
    folder = pipeline.stack.layout.data("flink") / "checkpoints" / flink.job_id(pipeline.settings.flink.rest)
    newest = max(int(path.name[4:]) for path in folder.glob("chk-*"))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for number in (newest + 1, newest + 2):
            if os.path.exists(f"{folder}/chk-{number}"):
                return number
        time.sleep(0.0002)
    raise TooLate(f"no checkpoint after {newest} within 20 s")


def hanging(pipeline: Pipeline, number: int) -> list[Record]:
    """Return the summaries of checkpoint `number` that no transaction has committed.

    Its barrier ends a bundle. What comes behind it is the next transaction's, and is written a bundle's time later at
    the earliest, which is the checkpoints' interval.
    """
    rest = pipeline.settings.flink.rest
    own_ms = pipeline.settings.flink.checkpoint_ms - 100

    def completed() -> int:
        done = [one for one in flink.checkpoints(rest) if one["id"] == number and one["status"] == "COMPLETED"]
        return int(done[0]["trigger_timestamp"]) if done else 0

    began_ms = wait_until(completed, 3, f"checkpoint {number} to be listed")
    uncommitted = TopicLog(pipeline.settings.kafka, WINDOW_SUMMARIES, isolation="read_uncommitted")
    try:
        records = uncommitted.poll(0.3).records
    finally:
        uncommitted.close()
    # What lies before a committed record and is not committed was aborted by an earlier fault.
    ends: dict[int, int] = {}
    for one in pipeline.summaries.poll(0.3).records:
        ends[one.partition] = max(one.offset, ends.get(one.partition, -1))
    return [one for one in records if one.timestamp_ms < began_ms + own_ms and one.offset > ends.get(one.partition, -1)]
