"""What all integration tests share."""

from collections.abc import Generator
from typing import Any

import pytest

from deploy.local.stack import Stack
from tests.support.stack import logs_of


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
