from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.kit.settings import FlinkSettings, Settings, StackSettings
from deploy.local.flink import keeper as keeping
from deploy.local.flink.keeper import Keeper
from deploy.local.flink.rest import ClusterUnreachable, Job
from deploy.local.flink.submit import JOB_NAME, SubmitFailed


class FakeCluster:
    def __init__(self) -> None:
        self.listed: list[Job] = []
        self.slots = 2

    def jobs(self) -> list[Job]:
        return self.listed

    def free_slots(self) -> int:
        return self.slots


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    one = FakeCluster()
    monkeypatch.setattr(keeping, "Cluster", lambda _: one)
    return one


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(stack=StackSettings(data=tmp_path), flink=FlinkSettings(parallelism=2))


def test_submits_when_no_job_is_there_and_not_when_one_is(cluster: FakeCluster, settings: Settings) -> None:
    submitted: list[int] = []
    keeper = Keeper(settings, lambda _: submitted.append(1), print)
    keeper.look()
    cluster.listed = [Job("j", JOB_NAME, "RESTARTING", 0, 10, 0)]
    keeper.look()
    assert submitted == [1]
    cluster.listed = []  # a new job manager, which knows nothing
    keeper.look()
    assert submitted == [1, 1]


def test_plans_while_the_cluster_is_still_starting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def jobs(self) -> list[Job]:
            raise ClusterUnreachable("starting")

    monkeypatch.setattr(keeping, "Cluster", lambda _: Away())
    asked: list[bool] = []
    monkeypatch.setattr(keeping, "has_topics", lambda _: True)
    Keeper(settings, lambda ready: asked.append(ready()), print).look()
    assert asked == [True]


def test_told_to_stop_while_it_submits_it_stops(
    cluster: FakeCluster, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[int] = []
    monkeypatch.setattr(keeping, "stop", lambda *_: stopped.append(1))

    def submit(ready: Callable[[], bool]) -> None:
        keeper.stopping.set()
        ready()

    keeper = Keeper(settings, submit, lambda _: None)
    keeper.run()
    assert stopped == [1]


def test_leaves_a_job_alone_that_was_stopped_by_hand(cluster: FakeCluster, settings: Settings) -> None:
    (settings.stack.data / "run").mkdir()
    (settings.stack.data / "run/job.stopped").touch()
    Keeper(settings, lambda _: pytest.fail("submitted"), print).look()


def test_the_first_failure_ends_it_and_a_later_one_does_not(
    cluster: FakeCluster, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LOOK_S", 0.0)
    monkeypatch.setattr(keeping, "RETRY_S", 0.0)
    monkeypatch.setattr(keeping, "stop", lambda *_: None)
    outcomes = iter([SubmitFailed("first")])
    keeper = Keeper(settings, lambda _: _raise(next(outcomes)), print)
    with pytest.raises(SubmitFailed, match="first"):
        keeper.run()

    said: list[str] = []
    later = iter([None, SubmitFailed("second"), ClusterUnreachable("away"), None])

    def submit(_: Callable[[], bool]) -> None:
        outcome = next(later, "end")
        if outcome == "end":
            keeper.stopping.set()
        elif isinstance(outcome, Exception):
            raise outcome

    keeper = Keeper(settings, submit, said.append)
    keeper.run()
    assert [text for text in said if "second" in text]


def _raise(error: Exception) -> None:
    raise error
