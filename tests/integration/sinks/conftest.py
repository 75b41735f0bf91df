"""The stores for services that only read Kafka; they run as processes of the tests, with settings of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from tests.support.sinks import Influx

STORES = ["kafka", "influxd", "mosquitto"]


@pytest.fixture(scope="session")
def stack(real_parts: Stack) -> Stack:
    """Without whatever the pipeline's tests ran: two consumers of one group would share its partitions."""
    real_parts.start(STORES)
    real_parts.stop([name for name in real_parts.parts if name not in STORES])
    return real_parts


@pytest.fixture
def influx(stack: Stack) -> Iterator[Influx]:
    one = Influx(stack.settings.influxdb)
    yield one
    one.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "service.log"
