"""The documentation is true: every command in it is run, every field of the cluster file and every plugin is in it.

A fence ``console fake`` or ``console real`` is run: lines that start with ``$ `` are commands, those below them must be found in what the
command prints, where ``…`` stands for anything. All such fences of a page and a kind are one shell session. ``sh elsewhere`` is for what
another test runs (installation: tests/test_packaging.py; make: the demo).
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml

from bareboat.cluster.file import shape
from tests.conftest import BAREBOAT, run

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(p for p in [*DOCS.glob("*.md"), ROOT / "README.md"])
KINDS = ("fake", "real")


def fences(path):
    """(info string, lines) of every fence."""
    for found in re.finditer(r"^```([^\n]*)\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL):
        yield found[1].strip(), found[2].splitlines()


def session(path, kind):
    """(command, expected lines) in order."""
    commands = []
    for info, lines in fences(path):
        if info.split() != ["console", kind]:
            continue
        for line in lines:
            if line.startswith("$ "):
                commands.append((line[2:], []))
            elif line.strip():
                commands[-1][1].append(line.strip())
    return commands


def script(commands, home):
    """Ends at the first command that fails; tells where each begins."""
    lines = []
    for number, (command, _) in enumerate(commands):
        own = command.replace("/var/lib/bareboat", str(home))
        lines += [f"echo; echo @{number}", f"{own} || {{ echo; echo @failed; exit 1; }}"]
    return "\n".join(lines)


def said(line, output, home):
    """Space is not looked at: columns are as wide as what is in them."""
    wanted = " ".join(line.replace("/var/lib/bareboat", str(home)).split())
    return re.search(".*".join(re.escape(part.strip()) for part in wanted.split("…")), " ".join(output.split())) is not None


@pytest.fixture
def machine(tmp_path):
    """PATH with this Bareboat, which takes any free port, and a sudo for those who are root already."""
    commands = tmp_path / "bin"
    commands.mkdir()
    own = shlex.join(BAREBOAT)
    wrapped = f'#!/bin/sh\nif [ "$1" = up ]; then shift; exec {own} up --port 0 "$@"; fi\nexec {own} "$@"\n'
    for name, text in (("bareboat", wrapped), ("sudo", '#!/bin/sh\nexec "$@"\n')):
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    home = tmp_path / "clusters"
    yield {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "BAREBOAT_HOME": str(home), "HOME": str(tmp_path)}, home
    for cluster in home.glob("*"):
        run(*BAREBOAT, "down", "--purge", "--data-dir", str(cluster), check=False)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("page", "kind"), [(p, k) for p in PAGES for k in KINDS if session(p, k)], ids=lambda v: getattr(v, "stem", v))
def test_every_command_of_the_page_does_what_the_page_says(page, kind, machine, tmp_path):
    if kind == "real" and os.geteuid() != 0:
        pytest.skip("real containers need root")
    environment, home = machine
    commands = session(page, kind)
    done = subprocess.run(
        ["bash", "-c", script(commands, home)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    outputs = re.split(r"^@(?=\d+$)", done.stdout, flags=re.MULTILINE)[1:]
    assert done.returncode == 0, f"{commands[len(outputs) - 1][0]}\n{outputs[-1]}"
    for (command, expected), output in zip(commands, outputs, strict=True):
        missing = [line for line in expected if not said(line, output, home)]
        assert missing == [], f"{command}\n{output}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_every_command_is_in_a_fence_that_is_run(page):
    kinds = {info for info, _ in fences(page) if info.split()[:1] in (["console"], ["sh"], ["bash"])}
    assert kinds <= {"console fake", "console real", "console tutorial", "sh elsewhere"}


def test_the_reference_pages_follow_the_code():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "reference-pages"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_example_of_the_cluster_file_has_every_field_and_is_valid():
    (text,) = ["\n".join(lines) for info, lines in fences(DOCS / "cluster-file.md") if info == "yaml"]
    tree = yaml.safe_load(text)
    msgspec.convert(tree, shape.ClusterFile)
    assert set(tree) == set(shape.ClusterFile.__struct_fields__)
    for part in ("server", "networking", "node"):
        assert set(tree[part]) == set(getattr(shape, part.capitalize()).__struct_fields__), part


def test_links_within_the_documentation_lead_somewhere():
    for page in [*DOCS.rglob("*.md"), ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith(("http:", "https:")):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_every_plugin_has_a_page():
    for plugin in (p for p in (ROOT / "plugins").iterdir() if p.is_dir()):
        assert (DOCS / "plugins" / f"{plugin.name}.md").exists()
