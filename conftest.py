"""For every test: virtual time where it is marked, and no silent skips where everything has to run.

``@pytest.mark.virtual_time`` runs a test on an event loop whose clock jumps when nothing is ready. With CI=true a skipped test
is a failed one: the machine there has every real part, or the gate has to install it.
"""

import os
from collections.abc import Generator
from typing import Any

import pytest

from bareboat.testing.virtual_time import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories", "pytest_runtest_makereport"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, but with CI=true everything must run: {report.longrepr}"
    return report
