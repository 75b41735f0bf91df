"""Submitting and stopping the job: never twice, never empty by accident, and not before it works."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.kit.settings import Settings
from deploy.local.classdata import ClassData
from deploy.local.flink.client import Client, Gate, job_arguments
from deploy.local.flink.distribution import CONNECTOR, find_distribution
from deploy.local.flink.package import PROJECT, package
from deploy.local.flink.rest import Cluster, ClusterRefused, ClusterUnreachable, Job, first_lines
from deploy.local.flink.snapshots import forget_others, snapshots
from deploy.local.layout import Layout

JOB_NAME = "tidemark-detect"
WORKS_LIMIT_S = 180.0
"""How long until every task runs: workers start in seconds, on a busy machine in a minute."""
SAVEPOINT_LIMIT_S = 120.0
"""The job's own limit of a checkpoint."""
SLOTS_LIMIT_S = 90.0
"""How long slots may be missing before that is an error: a task manager registers some seconds after its start, and a
new job manager gets its slots back only when they have let go of the lost one."""
POLL_S = 0.2

Echo = Callable[[str], None]


class SubmitFailed(Exception):
    """The job was not started, or does not work; the message says why and the mend."""


class StateRefused(SubmitFailed):
    """The snapshot can't be restored; another one might."""


@dataclass(frozen=True)
class Submitted:
    """A job that works.

    Attributes
    ----------
    restored_from
        Path of the checkpoint or savepoint; None for an empty start.
    client_s, start_s
        Seconds that `flink run` took, and seconds from then until every task ran.
    """

    job_id: str
    restored_from: str | None
    client_s: float
    start_s: float


def flink_folder(settings: Settings) -> Path:
    """Return the embedded cluster's folder."""
    return settings.stack.data.absolute() / "data" / "flink"


def is_embedded(settings: Settings) -> bool:
    """Whether the cluster is one of the stack's parts."""
    return bool({"flink", "jobmanager"} & set(settings.stack.parts))


def submit(
    settings: Settings,
    *,
    fresh: bool = False,
    savepoint: str | None = None,
    python: str = sys.executable,
    echo: Echo = lambda _: None,
    project: Path = PROJECT,
    ready: Gate | None = None,
) -> Submitted:
    """Package the job, submit it, and return when every task of it runs.

    It goes on from `savepoint`, else from the newest checkpoint or savepoint there is; one that turns out damaged is
    passed over for the one before it (what was put out since then is put out again, with the same ids). `fresh` starts
    over.

    With `ready` the cluster may still be starting: the job is planned meanwhile, and started as soon as there is room
    for it and `ready` answers true; what `ready` raises ends it.

    Raises
    ------
    SubmitFailed
        The job runs already, slots are missing, state would be lost, or it does not come to work.
    ClusterUnreachable
        No Flink answers.
    """
    cluster = Cluster(settings.flink.rest)
    with _one_at_a_time(settings):
        if ready is None:
            refuse_second(cluster, settings.flink.parallelism)
        client = _client(settings, python, project)
        archive = package(client.folder / "job.zip", project)
        resuming = not fresh and savepoint is None
        candidates = restorable(settings, cluster) if resuming else [savepoint]
        gate = None
        if ready is not None:
            gate = _gate(settings, cluster, ready, lambda: not resuming or restorable(settings, cluster) == candidates)
        done = _Submission(client, cluster, archive, echo, gate).first_that_works(candidates)
        _stopped_mark(settings).unlink(missing_ok=True)
        if is_embedded(settings) and not fresh:
            forget_others(flink_folder(settings), done.job_id)
        return done


def restorable(settings: Settings, cluster: Cluster) -> list[str | None]:
    """Return what the job may resume from, newest first; `[None]`, an empty start, if there is nothing at all."""
    if is_embedded(settings):
        found: list[str | None] = [each.uri for each in snapshots(flink_folder(settings))[:3]]
    else:
        ended = [job for job in cluster.jobs() if job.name == JOB_NAME and not job.active]
        found = [path for job in ended[:1] if (path := cluster.newest_snapshot(job.id))]
    return found or [None]


def refuse_second(cluster: Cluster, parallelism: int) -> None:
    """Raise `SubmitFailed` if the job is there already, or could not get its slots and would wait for ever."""
    for job in cluster.jobs():
        if job.name == JOB_NAME and job.active:
            raise SubmitFailed(
                f"{JOB_NAME} is {job.state.lower()} already ({job.id}): two would write the same transactions; "
                "stop it first: tidemark job stop"
            )
    free = cluster.free_slots()
    if free < parallelism:
        raise SubmitFailed(
            f"the job needs {parallelism} free task slots and Flink at {cluster.address} has {free}: "
            "start more task managers, raise stack.task_slots, or lower flink.parallelism"
        )


def is_wanted(settings: Settings) -> bool:
    """Whether nobody stopped the job by hand since it was submitted."""
    return not _stopped_mark(settings).exists()


def stop(settings: Settings, echo: Echo = lambda _: None, by_hand: bool = False) -> str | None:
    """Stop the job with a savepoint and return its path; None if no job runs.

    After a stop `by_hand` the stack's keeper leaves it stopped until the next submit.

    Raises
    ------
    ClusterRefused
        If the savepoint fails; then the job runs on.
    """
    cluster = Cluster(settings.flink.rest)
    job = active_job(cluster)
    if job is None:
        return None
    if by_hand:
        _stopped_mark(settings).parent.mkdir(parents=True, exist_ok=True)
        _stopped_mark(settings).touch()
    echo(f"stopping {job.id} with a savepoint")
    folder = (flink_folder(settings) / "savepoints").as_uri() if is_embedded(settings) else None
    try:
        path = cluster.savepoint(job.id, folder, stop=True, limit_s=SAVEPOINT_LIMIT_S)
    except ClusterRefused:
        _stopped_mark(settings).unlink(missing_ok=True)
        raise
    deadline = time.monotonic() + SAVEPOINT_LIMIT_S
    while cluster.job(job.id).active and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return path


def active_job(cluster: Cluster) -> Job | None:
    """Return the job if it has not ended."""
    return next((job for job in cluster.jobs() if job.name == JOB_NAME and job.active), None)


def wait_until_works(cluster: Cluster, job_id: str, limit_s: float = WORKS_LIMIT_S) -> None:
    """Return when every task of the job runs.

    Raises
    ------
    StateRefused, SubmitFailed
        If it fails instead (it is cancelled then, or it would be restarted for ever), or takes longer.
    """
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        job = cluster.job(job_id)
        if job.works:
            return
        failure = cluster.newest_exception(job_id)
        if failure or not job.active:
            if job.active:
                cluster.cancel(job_id)
            raise _failure(first_lines(failure[1]) if failure else f"it is {job.state.lower()}")
        time.sleep(POLL_S)
    cluster.cancel(job_id)
    raise SubmitFailed(f"{JOB_NAME} does not work after {limit_s:.0f} s; see the log of the task manager")


@dataclass(frozen=True)
class _Submission:
    """One submission, of as many tries as there are snapshots."""

    client: Client
    cluster: Cluster
    archive: Path
    echo: Echo
    gate: Gate | None

    def first_that_works(self, candidates: list[str | None]) -> Submitted:
        for number, candidate in enumerate(candidates, start=1):
            self.echo(f"submitting the job, {'empty' if candidate is None else f'from {candidate}'}")
            try:
                return self._once(candidate)
            except StateRefused as error:
                if number == len(candidates):
                    raise SubmitFailed(
                        f"{error}\nNone of {number} checkpoints and savepoints can be restored. "
                        "To start over without them: tidemark job submit --fresh"
                    ) from error
                self.echo(f"passed over, and going further back: {error}")
        raise AssertionError("there is always a candidate")

    def _once(self, restore: str | None) -> Submitted:
        began = time.monotonic()
        try:
            done = self.client.call(self.client.run_argv(self.archive, restore, self._arguments()), self.gate)
        except subprocess.TimeoutExpired as error:
            raise SubmitFailed(f"flink run did not end within {error.timeout:.0f} s") from error
        client_s = time.monotonic() - began
        found = re.search(r"JobID ([0-9a-f]{32})", done.stdout)
        if done.returncode != 0 or found is None:
            raise _failure(_what_failed(done.stdout + "\n" + done.stderr))
        wait_until_works(self.cluster, found[1])
        return Submitted(found[1], restore, round(client_s, 1), round(time.monotonic() - began - client_s, 1))

    def _arguments(self) -> list[str]:
        settings = self.client.settings
        checkpoints = (flink_folder(settings) / "checkpoints").as_uri() if is_embedded(settings) else ""
        arguments = job_arguments(settings, checkpoints, self.client.folder / "kafka.properties")
        return arguments if self.gate is None else [*arguments, "--start-after", str(self.client.go_file)]


def _gate(settings: Settings, cluster: Cluster, ready: Gate, unchanged: Gate) -> Gate:
    """Return the gate of a cluster that is still starting: open when there is room for the job and `ready` agrees.

    A job manager that only seemed to be away may still have run the job and taken a newer snapshot (not `unchanged`):
    going on from the older one would put everything since then out again.
    """
    slots_by: list[float] = []

    def is_open() -> bool:
        if not ready():
            return False
        try:
            free = cluster.free_slots()
        except ClusterUnreachable:
            return False
        slots_by.append(time.monotonic() + SLOTS_LIMIT_S)
        if free < settings.flink.parallelism and time.monotonic() < slots_by[0]:
            return False
        refuse_second(cluster, settings.flink.parallelism)
        if not unchanged():
            raise SubmitFailed("the job took a newer checkpoint meanwhile")
        return True

    return is_open


def _failure(reason: str) -> SubmitFailed:
    if "StateWouldBeLost" in reason:
        return SubmitFailed(f"refused: {reason}")
    lost = ("checkpoint", "savepoint", "state backend", "StateMigrationException", "restore")
    kind = StateRefused if any(word.lower() in reason.lower() for word in lost) else SubmitFailed
    return kind(f"{JOB_NAME} could not start: {reason}")


def _what_failed(output: str) -> str:
    """Return the line that says why `flink run` failed: the Python client's last error, else Java's causes."""
    errors = re.findall(r"^(?:[a-zA-Z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Lost): .*$", output, re.MULTILINE)
    python = [line for line in errors if not line.startswith(("org.", "java."))]
    return python[-1] if python else first_lines(output)


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    """Hold a lock while submitting: between look and submission a second one would slip through."""
    import fcntl

    folder = settings.stack.data.absolute() / "run"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "submit.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SubmitFailed("another tidemark command is submitting the job") from None
        yield


def _stopped_mark(settings: Settings) -> Path:
    return settings.stack.data.absolute() / "run" / "job.stopped"


def _client(settings: Settings, python: str, project: Path) -> Client:
    if not CONNECTOR.is_file():
        raise SubmitFailed(f"{CONNECTOR} is missing: run make setup")
    folder = settings.stack.data.absolute() / "run" / "flink"
    embedded = is_embedded(settings)
    client = Client(
        find_distribution(settings.flink.home),
        settings,
        folder,
        python,
        project,
        has_connector=embedded,
        # The stack keeps what it wrote when it stops.
        classes=ClassData(Layout(settings.stack.data.absolute()).class_data) if embedded else None,
    )
    client.write()
    return client
