"""Savepoints of earlier versions are restored.

Their offsets are those of another Kafka, so the job reads some records of this one again and repeats their alerts:
these tests run after those that count alerts, hence the module's name.
"""

from pathlib import Path

import pytest

from deploy.local.flink.submit import stop, submit
from tests.support.keep_savepoint import KEPT
from tests.support.load import load, settle
from tests.support.pipeline import Pipeline

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("kept", sorted(KEPT.iterdir()), ids=lambda kept: kept.name)
def test_savepoints_of_earlier_versions_are_restored(pipeline: Pipeline, outboxes: Path, kept: Path) -> None:
    """Every shard's state is read, or its windows would not be judged."""
    stop(pipeline.settings, print, by_hand=True)
    done = submit(pipeline.settings, savepoint=kept.as_uri(), echo=print)
    assert done.restored_from == kept.as_uri()
    pipeline.stack.wait_healthy("job")
    with load(pipeline, outboxes, f"kept{kept.name}") as one:
        settle(pipeline, one)
