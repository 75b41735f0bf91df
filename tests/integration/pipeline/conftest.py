"""The running pipeline, with one job, for all tests of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from tests.support.pipeline import SERVICES, STORES, Pipeline


@pytest.fixture(scope="session")
def pipeline(real_parts: Stack) -> Iterator[Pipeline]:
    real_parts.start(STORES)
    running = Pipeline(real_parts)
    try:
        running.publish_rules()
        real_parts.start(SERVICES)
        yield running
    finally:
        running.close()


@pytest.fixture
def outboxes(tmp_path: Path) -> Path:
    """Where a test's devices keep their outboxes."""
    return tmp_path
