import json

import httpx
import pytest

from deploy.local.flink.rest import Cluster, ClusterRefused, ClusterUnreachable, first_lines

TRACE = """java.util.concurrent.CompletionException: org.apache.X: No such thing
\tat a.b.C.d(C.java:1)
Caused by: java.io.IOException: disk full
\t... 3 more
"""


def cluster(answers: dict[str, object], status: int = 200) -> Cluster:
    def answer(request: httpx.Request) -> httpx.Response:
        key = f"{request.method} {request.url.raw_path.decode()}"
        return httpx.Response(status, json=answers[key])

    return Cluster("host:1", httpx.Client(transport=httpx.MockTransport(answer), base_url="http://host:1"))


def listed(job: str, state: str, start: int, running: int = 10) -> dict[str, object]:
    tasks = {"running": running, "total": 10}
    return {"jid": job, "name": "tidemark-detect", "state": state, "tasks": tasks, "start-time": start}


def test_jobs_are_listed_newest_first() -> None:
    jobs = cluster({"GET /jobs/overview": {"jobs": [listed("a", "FINISHED", 1), listed("b", "RUNNING", 2)]}}).jobs()
    assert [(job.id, job.active, job.works) for job in jobs] == [("b", True, True), ("a", False, False)]


def test_a_job_works_when_every_task_runs() -> None:
    (job,) = cluster({"GET /jobs/overview": {"jobs": [listed("a", "RUNNING", 1, running=9)]}}).jobs()
    assert job.active
    assert not job.works


def test_a_savepoint_is_waited_for() -> None:
    done = {"status": {"id": "COMPLETED"}, "operation": {"location": "file:/s"}}
    one = cluster({"POST /jobs/a/stop": {"request-id": "r"}, "GET /jobs/a/savepoints/r": done})
    assert one.savepoint("a", None, stop=True, limit_s=1) == "file:/s"


def test_a_failed_savepoint_says_why_without_the_stack() -> None:
    done = {"status": {"id": "COMPLETED"}, "operation": {"failure-cause": {"stack-trace": TRACE}}}
    one = cluster({"POST /jobs/a/savepoints": {"request-id": "r"}, "GET /jobs/a/savepoints/r": done})
    with pytest.raises(ClusterRefused, match=r"No such thing \| Caused by: java\.io\.IOException: disk full"):
        one.savepoint("a", None, stop=False, limit_s=1)


def test_the_newest_snapshot_is_the_one_with_the_highest_number() -> None:
    latest = {"completed": {"id": 7, "external_path": "file:/c"}, "savepoint": {"id": 8, "external_path": "file:/s"}}
    assert cluster({"GET /jobs/a/checkpoints": {"latest": latest}}).newest_snapshot("a") == "file:/s"
    assert cluster({"GET /jobs/a/checkpoints": {"latest": {"completed": None}}}).newest_snapshot("a") is None


def test_an_error_of_flink_is_told_in_its_words() -> None:
    with pytest.raises(ClusterRefused, match="disk full"):
        cluster({"GET /overview": {"errors": ["x", TRACE]}}, 500).free_slots()


def test_nobody_there_is_unreachable() -> None:
    with pytest.raises(ClusterUnreachable, match=r"127\.0\.0\.1:9"):
        Cluster("127.0.0.1:9").jobs()


def test_a_trace_is_cut_to_what_it_says() -> None:
    assert first_lines(TRACE).endswith("No such thing | Caused by: java.io.IOException: disk full")
    assert first_lines("") == ""
    assert json.dumps(first_lines("a\n" * 9)) == '"a"'
