"""Submission against a cluster and a client that are played."""

from pathlib import Path
from typing import Any

import pytest

from connectors.kit.settings import Settings, StackSettings
from deploy.local.flink import submit as flink
from deploy.local.flink.client import Called, Gate
from deploy.local.flink.rest import ClusterRefused, ClusterUnreachable, Job

DONE = "Job has been submitted with JobID " + "a" * 32
TRACE = """org.apache.flink.client.program.ProgramInvocationException: The main method caused an error
\tat x.Y
Caused by: java.lang.RuntimeException: Python process exits with code: 1
"""


class FakeCluster:
    def __init__(self, jobs: list[Job] | None = None, slots: int = 2) -> None:
        self.address = "h:1"
        self.listed = jobs or []
        self.slots = slots
        self.failure: tuple[int, str] | None = None
        self.cancelled: list[str] = []

    def jobs(self) -> list[Job]:
        return self.listed

    def job(self, job_id: str) -> Job:
        return Job(job_id, flink.JOB_NAME, "RESTARTING" if self.failure else "RUNNING", 10, 10, 0)

    def free_slots(self) -> int:
        return self.slots

    def newest_exception(self, _: str) -> tuple[int, str] | None:
        return self.failure

    def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)

    def savepoint(self, *_: Any, **__: Any) -> str:
        raise ClusterRefused("no")


class FakeClient:
    """Plays `flink run`: `outcomes[i]` is (return code, stdout, stderr) of the i-th call."""

    def __init__(self, settings: Settings, outcomes: list[tuple[int, str, str]]) -> None:
        self.settings = settings
        self.folder = settings.stack.data
        self.outcomes = outcomes
        self.restored: list[str | None] = []

    def run_argv(self, _archive: Path, restore: str | None, _job: list[str]) -> list[str]:
        self.restored.append(restore)
        return []

    @property
    def go_file(self) -> Path:
        return self.folder / "go"

    def call(self, _: list[str], gate: Gate | None = None) -> Called:
        while gate is not None and not gate():
            pass
        return Called(*self.outcomes[len(self.restored) - 1])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(stack=StackSettings(data=tmp_path))


def play(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, cluster: FakeCluster, *outcomes: tuple[int, str, str]
) -> FakeClient:
    client = FakeClient(settings, list(outcomes))
    monkeypatch.setattr(flink, "Cluster", lambda _: cluster)
    monkeypatch.setattr(flink, "_client", lambda *_: client)
    return client


def job(state: str) -> Job:
    return Job("b" * 32, flink.JOB_NAME, state, 10, 10, 0)


def snapshot(settings: Settings, number: int) -> str:
    path = flink.flink_folder(settings) / f"checkpoints/j/chk-{number}"
    path.mkdir(parents=True)
    (path / "_metadata").touch()
    import os

    os.utime(path / "_metadata", (number, number))
    return path.as_uri()


def test_an_empty_cluster_starts_empty(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    client = play(monkeypatch, settings, FakeCluster(), (0, DONE, ""))
    done = flink.submit(settings)
    assert (done.job_id, done.restored_from, client.restored) == ("a" * 32, None, [None])


def test_it_goes_on_from_the_newest_checkpoint(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    snapshot(settings, 1)
    newest = snapshot(settings, 2)
    play(monkeypatch, settings, FakeCluster(), (0, DONE, ""))
    assert flink.submit(settings).restored_from == newest


def test_fresh_starts_over_and_deletes_nothing(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    for number in range(6):
        snapshot(settings, number)
    client = play(monkeypatch, settings, FakeCluster(), (0, DONE, ""))
    flink.submit(settings, fresh=True)
    assert client.restored == [None]
    assert len(flink.snapshots(flink.flink_folder(settings))) == 6


def test_a_second_job_is_refused(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    client = play(monkeypatch, settings, FakeCluster([job("RUNNING")]))
    with pytest.raises(flink.SubmitFailed, match=r"running already .* tidemark job stop"):
        flink.submit(settings)
    assert client.restored == []


def test_a_job_that_ended_is_no_obstacle(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    play(monkeypatch, settings, FakeCluster([job("CANCELED")]), (0, DONE, ""))
    flink.submit(settings)


def test_missing_slots_are_said_at_once(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    play(monkeypatch, settings, FakeCluster(slots=1))
    with pytest.raises(flink.SubmitFailed, match="needs 2 free task slots and Flink at h:1 has 1"):
        flink.submit(settings)


def test_a_damaged_checkpoint_is_passed_over(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    older, newest = snapshot(settings, 1), snapshot(settings, 2)
    damaged = (1, "", TRACE + "Caused by: java.io.EOFException: cannot read checkpoint metadata\n")
    client = play(monkeypatch, settings, FakeCluster(), damaged, (0, DONE, ""))
    said: list[str] = []
    assert flink.submit(settings, echo=said.append).restored_from == older
    assert client.restored == [newest, older]
    assert "passed over" in said[1]


def test_it_never_starts_empty_by_itself_where_there_was_state(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    snapshot(settings, 1)
    client = play(monkeypatch, settings, FakeCluster(), (1, "", "Caused by: x.Y: bad checkpoint"))
    with pytest.raises(flink.SubmitFailed, match="--fresh"):
        flink.submit(settings)
    assert None not in client.restored


def test_state_that_would_be_lost_is_refused_and_no_older_one_is_tried(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    snapshot(settings, 1)
    snapshot(settings, 2)
    says = "jobs.restore.StateWouldBeLost: file:/c holds state of old-thing, which this job has no operator for\n"
    client = play(monkeypatch, settings, FakeCluster(), (1, "", says + TRACE))
    with pytest.raises(flink.SubmitFailed, match=r"refused: .* state of old-thing"):
        flink.submit(settings)
    assert len(client.restored) == 1


def test_a_job_that_fails_after_its_start_is_cancelled_and_says_why(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    cluster = FakeCluster()
    cluster.failure = (1, "java.lang.Exception: no\n\tat x\nCaused by: y.Z: topic is missing")
    play(monkeypatch, settings, cluster, (0, DONE, ""))
    cluster.job = lambda _: Job("a" * 32, "n", "RESTARTING", 0, 10, 0)  # type: ignore[method-assign]
    with pytest.raises(flink.SubmitFailed, match="topic is missing"):
        flink.submit(settings)
    assert cluster.cancelled == ["a" * 32]


def test_the_python_error_is_told_rather_than_javas(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    play(monkeypatch, settings, FakeCluster(), (1, "", "ValueError: k.properties:2: not key=value\n" + TRACE))
    with pytest.raises(flink.SubmitFailed, match=r"could not start: ValueError: k\.properties:2"):
        flink.submit(settings)


def test_while_the_cluster_starts_the_gate_waits_for_topics_cluster_and_slots(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    cluster = FakeCluster()
    play(monkeypatch, settings, cluster, (0, DONE, ""))
    slots = iter([ClusterUnreachable("starting"), 0, 1, 2, 2])

    def free_slots() -> int:
        answer = next(slots)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(cluster, "free_slots", free_slots)
    topics = iter([False, False, True, True, True, True])
    flink.submit(settings, ready=lambda: next(topics))
    assert next(topics, None) is None


def test_a_job_manager_that_was_only_slow_is_not_given_a_second_job(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    play(monkeypatch, settings, FakeCluster([job("RUNNING")]), (0, DONE, ""))
    with pytest.raises(flink.SubmitFailed, match="running already"):
        flink.submit(settings, ready=lambda: True)


def test_a_checkpoint_that_appears_while_planning_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    snapshot(settings, 1)
    play(monkeypatch, settings, FakeCluster(), (0, DONE, ""))
    with pytest.raises(flink.SubmitFailed, match="newer checkpoint"):
        flink.submit(settings, ready=lambda: bool(snapshot(settings, 2)))


def test_stopping_nothing_is_no_error(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(flink, "Cluster", lambda _: FakeCluster())
    assert flink.stop(settings) is None


def test_after_a_stop_by_hand_the_job_is_not_wanted_until_the_next_submit(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    cluster = FakeCluster([job("RUNNING")])
    play(monkeypatch, settings, cluster, (0, DONE, ""))
    with pytest.raises(ClusterRefused):
        flink.stop(settings, by_hand=True)
    assert flink.is_wanted(settings), "the stop failed, so the job is still wanted"
    monkeypatch.setattr(cluster, "savepoint", lambda *_, **__: "file:/s")
    monkeypatch.setattr(cluster, "job", lambda _: job("FINISHED"))
    assert flink.stop(settings, by_hand=True) == "file:/s"
    assert not flink.is_wanted(settings)
    cluster.listed = []
    monkeypatch.setattr(cluster, "job", lambda _: job("RUNNING"))
    flink.submit(settings)
    assert flink.is_wanted(settings)
