"""What is promised about versions is written down: every group, every hook with its exact signature."""

import inspect
from pathlib import Path

import pytest

from bareboat.contracts import hooks
from bareboat.plugins.inventory import GROUPS

DOCS = Path(__file__).resolve().parents[3] / "docs"
HOOKS = [name for name in vars(hooks) if name.startswith("bareboat_")]


@pytest.mark.parametrize("group", sorted(GROUPS.values()))
def test_every_group_is_in_the_table_of_versions(group):
    assert f"| `{group}` |" in (DOCS / "versions.md").read_text()


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_with_its_signature_and_meaning(hook):
    page = (DOCS / "contracts" / "hooks.md").read_text()
    function = getattr(hooks, hook)
    assert f"## `{hook}{inspect.signature(function)}`" in page
    assert inspect.getdoc(function) in page


def test_the_hooks_are_those_that_are_promised():
    assert {h.removeprefix("bareboat_") for h in HOOKS} >= {
        "kinds", "controllers", "authenticators", "authorizers", "admission", "scheduling_policies", "node_services", "http_apps",
        "cli", "observers", "bootstrap_objects",
    }  # fmt: skip
