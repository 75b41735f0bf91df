"""One stack of stores for the services that only read Kafka: no job, no bridge."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from tests.support.sinks import Influx
from tests.support.stack import short_settings

STORES = ["kafka", "influxd", "mosquitto"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("sinks")
    with Stack(short_settings(folder, STORES), folder, echo=print) as one:
        one.start(STORES)
        yield one


@pytest.fixture
def influx(stack: Stack) -> Iterator[Influx]:
    one = Influx(stack.settings.influxdb)
    yield one
    one.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "service.log"
