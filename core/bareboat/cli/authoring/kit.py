"""The kit run over a plugin's tests: every rule with its result.

In: a folder. Out: ``Rule`` by rule, in the order in which they ran. pytest does the running, in this process; what it prints is kept back
unless it is asked for. A rule is a test, said as a sentence: what its name says.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from typing import Any

import msgspec

from bareboat.cluster.errors import ClusterError

_ASSERTION = re.compile(r"^E\s+(.*)$", re.MULTILINE)


class Rule(msgspec.Struct, kw_only=True):
    """``result`` is passed, failed, skipped, deviates (an expected failure, with its reason) or broken (it could not be asked)."""

    suite: str
    rule: str
    result: str
    reason: str = ""


class Recorder:
    """A pytest plugin."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.said: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome in ("failed", "skipped"):
            self.rules.append(
                Rule(suite=_suite(report.nodeid), rule=sentence(report.nodeid), result=_result(report), reason=_reason(report))
            )

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            text = _last(str(report.longrepr))
            self.rules.append(Rule(suite=str(report.nodeid), rule="the tests can be imported", result="broken", reason=text))


def run(folder: Path, *, loud: bool, words: list[str]) -> list[Rule]:
    """Raises ClusterError if pytest is missing or there is nothing to run."""
    try:
        import pytest
    except ImportError as error:
        raise ClusterError("pytest is missing: pip install 'bareboat[testing]'") from error
    if not folder.is_dir():
        raise ClusterError(f"{folder} is no folder: give the folder of a plugin")
    recorder = Recorder()
    # its own cache, so that two plugins whose tests have the same names do not meet
    arguments = ["--rootdir", str(folder), "-c", _settings(folder), "-p", "no:cacheprovider", "-q", *words, str(folder)]
    said = io.StringIO()
    before = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.ExitStack() as stack:
            if not loud:
                stack.enter_context(contextlib.redirect_stdout(said))
                stack.enter_context(contextlib.redirect_stderr(said))
            code = pytest.main(arguments, plugins=[recorder])
    finally:
        os.chdir(before)
    if not recorder.rules:
        detail = said.getvalue().strip().splitlines()
        raise ClusterError(f"{folder} has no test that could be run (pytest says {code}: {detail[-1] if detail else 'nothing'})")
    return recorder.rules


def _settings(folder: Path) -> str:
    own = folder / "pyproject.toml"
    return str(own) if own.exists() else os.devnull


def sentence(nodeid: str) -> str:
    """``tests/test_x.py::TestFoo::test_a_pod_is[b]`` → "a pod is: b"."""
    name, _, parameters = nodeid.rpartition("::")[2].partition("[")
    text = name.removeprefix("test_").replace("_", " ")
    return f"{text}: {parameters.rstrip(']')}" if parameters else text


def _suite(nodeid: str) -> str:
    parts = nodeid.split("::")
    return parts[1] if len(parts) > 2 else Path(parts[0]).stem


def _result(report: Any) -> str:
    if hasattr(report, "wasxfail"):
        return "deviates" if report.skipped else "failed"
    if report.when != "call" and report.failed:
        return "broken"
    return str(report.outcome)


def _reason(report: Any) -> str:
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail)
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    if report.failed:
        crash = getattr(getattr(report.longrepr, "reprcrash", None), "message", "")
        return _first(crash) if crash else _last(str(report.longrepr))
    return ""


def _first(text: str) -> str:
    return text.strip().splitlines()[0].removeprefix("AssertionError: ")


def _last(text: str) -> str:
    found = _ASSERTION.findall(text)
    return found[-1] if found else (text.strip().splitlines() or [""])[-1]
