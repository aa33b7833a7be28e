"""The tutorials are followed, from an empty folder: what they say to write is written, what they say to run is run, what they promise holds.

A fence ``python PATH`` (or ``yaml PATH``) is a file, with ``+`` behind it more of one; ``console tutorial`` are commands as in test_docs.
"""

import os
import re
import subprocess
import sys

import pytest

from tests.test_docs import DOCS, said

PAGES = sorted([*(DOCS / "tutorials").glob("*.md"), DOCS / "testing.md"])


def steps(page):
    """(info words, text) of every fence."""
    for found in re.finditer(r"^```([^\n]*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        yield found[1].split(), found[2]


def write(folder, words, text):
    path = folder / words[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((path.read_text() if words[2:] == ["+"] else "") + text)


def run(folder, text, environment):
    commands = []
    for line in filter(str.strip, text.splitlines()):
        commands.append([line[2:], []]) if line.startswith("$ ") else commands[-1][1].append(line)
    for command, expected in commands:
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, f"{command}\n{output}"
        assert [line for line in expected if not said(line, output, folder)] == [], f"{command}\n{output}"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_page_can_be_followed(page, tmp_path):
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, module in (("bareboat", "bareboat"), ("python", "")):
        line = f'exec {sys.executable} {f"-m {module}" if module else ""} "$@"'
        (commands / name).write_text(f"#!/bin/sh\n{line}\n")
        (commands / name).chmod(0o755)
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "HOME": str(tmp_path), "COLUMNS": "200"}
    for words, text in steps(page):
        if words[:2] == ["console", "tutorial"]:
            run(folder, text, environment)
        elif len(words) > 1 and words[0] in ("python", "yaml"):
            write(folder, words, text)


def lines_of(page, path):
    """Of code: without blank lines, comments and docstrings."""
    text = "".join(t for words, t in steps(DOCS / "tutorials" / page) if words[1:2] == [path])
    text = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)
    return len([line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")])


def test_a_storage_driver_has_less_than_sixty_lines():
    assert lines_of("csi-driver.md", "csi_shelf/bareboat_csi_shelf/driver.py") < 60


def test_a_score_policy_has_less_than_fifteen_lines():
    assert lines_of("score-policy.md", "sched_ssd/bareboat_sched_ssd/policy.py") < 15
