"""What all integration tests share."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.stack import Stack
from tests.support.pipeline import pipeline_settings
from tests.support.receiver import Receiver, write_subscriptions
from tests.support.stack import logs_of


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def receiver(folder: Path) -> Iterator[Receiver]:
    with Receiver() as one:
        write_subscriptions(folder / "subscriptions.yaml", one)
        yield one


@pytest.fixture(scope="session")
def real_parts(folder: Path, receiver: Receiver) -> Iterator[Stack]:
    """The one stack of all integration tests but those of a stack's own life; each starts what it needs of it."""
    with Stack(pipeline_settings(folder), folder, echo=print) as stack:
        yield stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Show the ends of the parts' logs with a test that fails while it holds a stack."""
    report = yield
    if report.failed:
        for held in getattr(item, "funcargs", {}).values():
            stack = held if isinstance(held, Stack) else getattr(held, "stack", None)
            if isinstance(stack, Stack):
                report.sections += [(f"log of {name}", tail) for name, tail in logs_of(stack)]
    return report
