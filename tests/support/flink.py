"""What the Flink cluster says of the job."""

import json
import urllib.request
from typing import Any

from tests.support.observe import wait_until

TIMEOUT_S = 10.0
"""A job manager that is just coming up must not hang a test."""


def get(rest: str, path: str) -> Any:
    with urllib.request.urlopen(f"http://{rest}{path}", timeout=TIMEOUT_S) as answer:
        return json.load(answer)


def job_id(rest: str) -> str:
    """Return the id of the one job that isn't over."""
    jobs = [
        job for job in get(rest, "/jobs/overview")["jobs"] if job["state"] not in ("FINISHED", "CANCELED", "FAILED")
    ]
    assert len(jobs) == 1, f"one job is expected, not {jobs}"
    return str(jobs[0]["jid"])


def is_running(rest: str) -> bool:
    """Whether every task of the job runs."""
    job = get(rest, f"/jobs/{job_id(rest)}")
    return job["state"] == "RUNNING" and all(vertex["status"] == "RUNNING" for vertex in job["vertices"])


def restarts(rest: str) -> int:
    """Return how often the job was restarted since it was submitted."""
    path = f"/jobs/{job_id(rest)}/metrics?get=numRestarts"
    # The job manager gathers metrics now and then; at first there are none.
    return int(wait_until(lambda: get(rest, path), 20, "the job's metrics")[0]["value"])


def late_records_dropped(rest: str) -> int:
    """Return how many late records the windows dropped; every one of them is a reading lost."""
    job = job_id(rest)
    total = 0
    for vertex in get(rest, f"/jobs/{job}")["vertices"]:
        path = f"/jobs/{job}/vertices/{vertex['id']}/subtasks/metrics"
        names = [one["id"] for one in get(rest, path) if one["id"].endswith("numLateRecordsDropped")]
        if names:
            total += sum(int(float(one["sum"])) for one in get(rest, f"{path}?get={','.join(names)}&agg=sum"))
    return total


def checkpoints(rest: str) -> list[dict[str, Any]]:
    """Return the newest checkpoints' statistics, newest first."""
    return list(get(rest, f"/jobs/{job_id(rest)}/checkpoints")["history"])
