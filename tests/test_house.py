"""The rules of the house that no other tool checks: who imports what, how long files are, that pages follow the code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PUBLIC = {"contracts", "models", "client", "reconcile", "testing"}
FILES = [f for part in ("core/bareboat", "plugins", "scripts") for f in (ROOT / part).rglob("*.py")]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("plugin", sorted(p.name for p in (ROOT / "plugins").iterdir() if p.is_dir()))
def test_a_plugin_imports_only_the_public_packages(plugin):
    for path in (ROOT / "plugins" / plugin / f"bareboat_{plugin}").rglob("*.py"):
        private = [m for m in imports(path) if m.split(".")[0] == "bareboat" and m.split(".")[1] not in PUBLIC]
        assert private == [], f"{path.relative_to(ROOT)} imports {private}; plugins may import {sorted(PUBLIC)}"


def test_the_kernel_imports_no_plugin():
    for path in (ROOT / "core" / "bareboat").rglob("*.py"):
        assert [m for m in imports(path) if m.startswith("bareboat_") and not m.startswith("bareboat_definitions")] == [], path


def test_no_file_is_longer_than_500_lines():
    assert [f"{f.relative_to(ROOT)}" for f in FILES if len(f.read_text().splitlines()) > 500] == []


def test_the_contract_pages_follow_the_code():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "contract-pages"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_plugin_is_in_the_readme_and_has_its_own():
    readme = (ROOT / "README.md").read_text()
    for plugin in (p for p in (ROOT / "plugins").iterdir() if p.is_dir()):
        assert f"plugins/{plugin.name}/README.md" in readme
        assert len((plugin / "README.md").read_text()) > 200
