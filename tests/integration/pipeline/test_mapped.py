"""Devices that publish in a form of their own, through the whole pipeline, while the bridge is killed."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.observe import wait_until
from tests.support.pipeline import WINDOW_MS, Pipeline

pytestmark = pytest.mark.integration

GATEWAY = "shelf-7"
DEVICES = ("east", "west")
ROUNDS = 60
PERIOD_S = 0.1
WAIT_S = 20.0


@contextmanager
def foreign_device(port: int) -> Iterator[mqtt.Client]:
    """Yield a device's MQTT 3.1.1 client: it knows PUBACK and nothing of Tidemark."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "foreign", clean_session=False)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def test_what_a_foreign_device_publishes_is_judged_once_though_the_bridge_is_killed(pipeline: Pipeline) -> None:
    sent: dict[tuple[int, str, str], int] = defaultdict(int)
    pipeline.stack.wait_healthy("bridge")
    with foreign_device(pipeline.settings.mqtt.port) as client:
        for number in range(ROUNDS):
            now_ms = time.time_ns() // 1_000_000
            for device in DEVICES:
                state = {"ts": now_ms, "temperature": 20 + number / 100, "humidity": 40.5}
                topic = f"shop/{GATEWAY}/{device}/state"
                # Some devices say everything twice. That is one reading: the same value at the same time.
                for _ in range(1 + number % 2):
                    told = client.publish(topic, json.dumps(state), qos=1)
                told.wait_for_publish(WAIT_S)
                for quantity in ("temperature", "humidity"):
                    sent[now_ms // WINDOW_MS * WINDOW_MS, device, quantity] += 1
            if number == ROUNDS // 3:
                pipeline.stack.kill("bridge")
            time.sleep(PERIOD_S)
        client.publish(f"shop/{GATEWAY}/tank/level", "full", qos=1).wait_for_publish(WAIT_S)
    pipeline.stack.wait_healthy("bridge")
    pipeline.wait_judged(max(start_ms for start_ms, _, _ in sent) + WINDOW_MS)

    def judged() -> dict[tuple[int, str, str], int]:
        return {
            (start_ms, *series): int(row[0])
            for start_ms, rows in pipeline.rows_of(GATEWAY).items()
            for series, row in rows.items()
        }

    wait_until(
        lambda: judged() == dict(sent), WAIT_S, "every reading, once", lambda: set(judged().items()) ^ set(sent.items())
    )
    assert not pipeline.late_of(GATEWAY)
    (letter,) = pipeline.dead_of(GATEWAY)
    assert bytes(letter.payload) == b"full"
