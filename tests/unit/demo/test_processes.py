"""The demo's own processes: what they say is heard, and none outlives the demo; the subscriber gets signed webhooks."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from deploy.demo.processes import Child
from deploy.demo.subscriber import Subscriber


def wait(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def test_a_child_is_heard_told_and_stopped(tmp_path, monkeypatch):
    heard = []
    module = tmp_path / "talker.py"
    module.write_text(
        "import json, sys, time\n"
        "print('noise'); print(json.dumps({'line': 1}), flush=True)\n"
        "print(json.dumps({'got': sys.stdin.readline().strip()}), flush=True)\n"
        "print('oops', file=sys.stderr, flush=True)\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    child = Child("talker", [], tmp_path / "settings.toml", tmp_path / "log" / "child.log", heard.append)
    wait(lambda: heard == [{"line": 1}])
    child.tell("go")
    wait(lambda: len(heard) == 2)
    assert heard[1] == {"got": "go"}
    assert child.ended() is None
    child.stop()
    assert child.ended() is not None
    assert child.log_tail() == "oops"
    child.tell("too late")


def test_a_child_ends_with_its_parent_also_when_that_is_killed(tmp_path):
    (tmp_path / "sleeper.py").write_text(
        "import os, time, json\nprint(json.dumps({'pid': os.getpid()}), flush=True)\ntime.sleep(60)\n"
    )
    parent = (
        "import sys, time, pathlib; from deploy.demo.processes import Child\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "Child('sleeper', [], folder / 's', folder / 'log', lambda said: print(said['pid'], flush=True))\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.getcwd()}"}
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        child = int(process.stdout.readline())
        process.kill()
    wait(lambda: not Path(f"/proc/{child}").exists())


@pytest.fixture
def subscriber(tmp_path):
    one = Subscriber(tmp_path, tmp_path / "settings.toml")
    one.start()
    yield one
    one.stop()


def post(url, secret, event_id):
    body = json.dumps({"id": event_id, "type": "t", "subject": "s"})
    now = datetime.now(UTC)
    signature = Webhook(secret).sign(event_id, now, body)
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
        "content-type": "application/json",
    }
    with urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers), timeout=5) as answer:
        return answer.status


def test_the_subscriber_keeps_what_is_signed_and_refuses_the_rest(subscriber, tmp_path):
    told = json.loads((tmp_path / "subscriptions.yaml").read_text())
    assert "whsec_" not in json.dumps(told)
    secret = (tmp_path / "webhook.secret").read_text().strip()
    assert (tmp_path / "webhook.secret").stat().st_mode & 0o077 == 0
    url = f"http://127.0.0.1:{subscriber._port}/alerts"
    assert subscriber.ids() == set()
    assert post(url, secret, "e1") == 204
    with pytest.raises(urllib.error.HTTPError):
        post(url, "whsec_" + "QUFB" * 10, "e2")
    assert subscriber.ids() == {"e1"}
    assert subscriber.problem() == ""
    subscriber.stop()
    assert "ended early" in subscriber.problem()
