"""What we ask of Flink's REST interface."""

import time
from dataclasses import dataclass
from typing import Any

import httpx

TIMEOUT_S = 10.0
"""A job manager under load answers in less; a hung one must not hang the command."""
ENDED = ("FINISHED", "CANCELED", "FAILED")


class ClusterUnreachable(Exception):
    """No job manager answers at the address."""


class ClusterRefused(Exception):
    """The job manager says no; the message is its own."""


@dataclass(frozen=True)
class Job:
    """A job as the cluster lists it.

    Attributes
    ----------
    running, total
        Its tasks.
    start_ms
        Wall time.
    """

    id: str
    name: str
    state: str
    running: int
    total: int
    start_ms: int

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.state not in ENDED

    @property
    def works(self) -> bool:
        """Whether every task of it runs."""
        return self.state == "RUNNING" and self.total > 0 and self.running == self.total


class Cluster:
    """The job manager at `address` (`host:port`)."""

    def __init__(self, address: str, client: httpx.Client | None = None) -> None:
        self.address = address
        self._client = client or httpx.Client(base_url=f"http://{address}", timeout=TIMEOUT_S)

    def jobs(self) -> list[Job]:
        """Return all jobs that the cluster remembers, newest first."""
        found = [
            Job(
                each["jid"],
                each["name"],
                each["state"],
                each["tasks"]["running"],
                each["tasks"]["total"],
                each["start-time"],
            )
            for each in self._get("/jobs/overview")["jobs"]
        ]
        return sorted(found, key=lambda job: -job.start_ms)

    def job(self, job_id: str) -> Job:
        """Return one job. Raises `ClusterRefused` if the cluster doesn't know it."""
        for job in self.jobs():
            if job.id == job_id:
                return job
        raise ClusterRefused(f"Flink at {self.address} knows no job {job_id}")

    def free_slots(self) -> int:
        """Return how many task slots are free."""
        return int(self._get("/overview")["slots-available"])

    def newest_exception(self, job_id: str) -> tuple[int, str] | None:
        """Return when the newest failure of a job was (wall time, ms) and what it said; None if there was none."""
        history = self._get(f"/jobs/{job_id}/exceptions?maxExceptions=1")["exceptionHistory"]["entries"]
        return (int(history[0]["timestamp"]), str(history[0]["stacktrace"])) if history else None

    def newest_snapshot(self, job_id: str) -> str | None:
        """Return where a job's newest retained checkpoint or savepoint lies, as far as the cluster remembers."""
        latest = self._get(f"/jobs/{job_id}/checkpoints")["latest"]
        found = [latest[kind] for kind in ("completed", "savepoint") if latest.get(kind)]
        newest = max((each for each in found if each.get("external_path")), key=lambda each: each["id"], default=None)
        return None if newest is None else str(newest["external_path"])

    def savepoint(self, job_id: str, folder: str | None, stop: bool, limit_s: float) -> str:
        """Take a savepoint, and stop the job with it where `stop`; return where it lies.

        Raises
        ------
        ClusterRefused
            If it fails, or isn't there after `limit_s`.
        """
        path = f"/jobs/{job_id}/" + ("stop" if stop else "savepoints")
        body: dict[str, Any] = {"targetDirectory": folder} if stop else {"target-directory": folder}
        request = self._call("POST", path, json=body)["request-id"]
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            answer = self._get(f"/jobs/{job_id}/savepoints/{request}")
            if answer["status"]["id"] == "COMPLETED":
                operation = answer["operation"]
                if "location" in operation:
                    return str(operation["location"])
                raise ClusterRefused(first_lines(operation["failure-cause"]["stack-trace"]))
            time.sleep(0.2)
        raise ClusterRefused(f"no savepoint after {limit_s:.0f} s")

    def cancel(self, job_id: str) -> None:
        """Cancel a job; its checkpoints stay."""
        self._call("PATCH", f"/jobs/{job_id}?mode=cancel")

    def _get(self, path: str) -> Any:
        return self._call("GET", path)

    def _call(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self._client.request(method, path, **more)
        except httpx.HTTPError as error:
            raise ClusterUnreachable(f"no Flink answers at {self.address} ({error})") from error
        if answer.is_error:
            is_json = "json" in answer.headers.get("content-type", "")
            errors = answer.json().get("errors", []) if is_json else []
            raise ClusterRefused(first_lines("\n".join(map(str, errors)) or f"{answer.status_code} at {path}"))
        return answer.json()


def first_lines(trace: str, limit: int = 3) -> str:
    """Return what a Java stack trace says: its first line and its last causes, without the frames."""
    says = [
        line.strip() for line in trace.splitlines() if line.strip() and not line.lstrip().startswith(("at ", "..."))
    ]
    causes = [line for line in says if line.startswith("Caused by:")]
    return " | ".join(dict.fromkeys([*says[:1], *causes[-limit:]]))[:2000]
