"""For every test: no silent skips where everything has to run.

With CI=true a skipped test is a failed one: the machine there has every real part, or the gate has to install it. Virtual time and the
``world`` fixtures are ``bareboat.testing.pytest_plugin``'s, which pytest finds by its entry point.

The generated definitions are imported here, all of them: pytest rewrites the modules of distributions that have plugins for it, and
Python before 3.11.5 raises SystemError when two threads make syntax trees at once (python/cpython#106905), as a thread that imports
the first object of a group may.
"""

import importlib
import os
import pkgutil
from collections.abc import Generator
from typing import Any

import bareboat_definitions
import pytest

for _module in pkgutil.iter_modules(bareboat_definitions.__path__):
    importlib.import_module(f"bareboat_definitions.{_module.name}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, but with CI=true everything must run: {report.longrepr}"
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from tests.side_by_side import SideBySide

    return SideBySide(config, log)
