"""One running stack, with one job, for all tests of the pipeline."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from tests.support.pipeline import SERVICES, STORES, Pipeline, pipeline_settings
from tests.support.receiver import Receiver, write_subscriptions


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pipeline")


@pytest.fixture(scope="session")
def receiver(folder: Path) -> Iterator[Receiver]:
    with Receiver() as one:
        write_subscriptions(folder / "subscriptions.yaml", one)
        yield one


@pytest.fixture(scope="session")
def pipeline(folder: Path, receiver: Receiver) -> Iterator[Pipeline]:
    with Stack(pipeline_settings(folder), folder) as stack:
        stack.start(STORES)
        running = Pipeline(stack)
        try:
            running.publish_rules()
            stack.start(SERVICES)
            yield running
        finally:
            running.close()


@pytest.fixture
def outboxes(tmp_path: Path) -> Path:
    """Where a test's devices keep their outboxes."""
    return tmp_path
