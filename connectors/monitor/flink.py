"""What Flink's REST interface says of our job."""

from dataclasses import dataclass
from typing import Any

import httpx

TIMEOUT_SECONDS = 3.0
"""A job manager that hangs is a finding, not a reason to hang as well."""

JOB_NAME_PREFIX = "tidemark"
LATE_DROPPED = "numLateRecordsDropped"


@dataclass(frozen=True)
class JobSeen:
    """The state of our job; `running` None where Flink does not answer."""

    running: bool | None
    restarts: int | None = None
    late_dropped: int | None = None


def look(rest: str) -> JobSeen:
    """Ask the job manager at `rest` (`host:port`)."""
    try:
        with httpx.Client(base_url=f"http://{rest}", timeout=TIMEOUT_SECONDS) as client:
            return _look(client)
    except (httpx.HTTPError, ValueError, KeyError):
        # Whatever the answer was, it was not that the job runs; Conditions turns it into an alert after a while.
        return JobSeen(running=None)


def _look(client: httpx.Client) -> JobSeen:
    jobs = [job for job in _get(client, "/jobs/overview")["jobs"] if job["name"].startswith(JOB_NAME_PREFIX)]
    running = [job["jid"] for job in jobs if job["state"] == "RUNNING"]
    if not running:
        return JobSeen(running=False)
    job = running[0]
    restarts = _get(client, f"/jobs/{job}/metrics?get=numRestarts")
    vertices = [vertex["id"] for vertex in _get(client, f"/jobs/{job}")["vertices"]]
    return JobSeen(
        running=True,
        restarts=int(float(restarts[0]["value"])) if restarts else None,
        late_dropped=sum(_late_dropped(client, job, vertex) for vertex in vertices),
    )


def _late_dropped(client: httpx.Client, job: str, vertex: str) -> int:
    path = f"/jobs/{job}/vertices/{vertex}/subtasks/metrics"
    names = [metric["id"] for metric in _get(client, path) if metric["id"].endswith(LATE_DROPPED)]
    if not names:
        return 0
    return sum(int(float(metric["sum"])) for metric in _get(client, f"{path}?get={','.join(names)}&agg=sum"))


def _get(client: httpx.Client, path: str) -> Any:
    answer = client.get(path)
    answer.raise_for_status()
    return answer.json()
