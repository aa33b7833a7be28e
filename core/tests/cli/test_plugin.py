"""The author's path: what ``bareboat plugin new`` writes says by its tests what is missing, and is green when that is written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bareboat.cli.authoring.families import FAMILIES, WORDS, family_of
from bareboat.cli.authoring.layout import files

BAREBOAT = [sys.executable, "-m", "bareboat"]


def bareboat(*words, cwd, code=0):
    done = subprocess.run([*BAREBOAT, "plugin", *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def rules(folder, code):
    found = json.loads(bareboat("test", folder, "-o", "json", cwd=folder.parent, code=code))["rules"]
    return {r["rule"]: r for r in found}


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.group], ids=lambda f: f.word)
def test_a_new_driver_s_tests_name_each_missing_verb_with_its_meaning(family, tmp_path):
    bareboat("new", f"{family.word}_foo", cwd=tmp_path)
    found = rules(tmp_path / f"{family.word}_foo", 1)
    missing = [r for r in found.values() if r["result"] == "failed"]
    assert missing
    assert all(r["rule"].startswith("the verb is written: ") and len(r["reason"].split(" is missing: ")[1]) > 10 for r in missing)
    assert {r["result"] for r in found.values()} <= {"failed", "skipped", "passed"}


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.hook], ids=lambda f: f.word)
def test_a_new_contribution_is_sound_and_its_tests_say_what_to_write(family, tmp_path):
    bareboat("new", f"{family.prefixes[0]}_foo", cwd=tmp_path)
    folder = tmp_path / f"{family.prefixes[0]}_foo"
    assert "sound" in bareboat("check", folder, cwd=tmp_path)
    found = rules(folder, 1)
    assert any(r["result"] == "failed" for r in found.values())
    assert not [r for r in found.values() if r["result"] == "broken"]


def test_what_is_written_is_well_formed(tmp_path):
    for family in FAMILIES:
        for path, text in files(family, f"{family.prefixes[0]}_foo", "foo").items():
            file = tmp_path / family.word / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run(
        [ruff, "check", "--isolated", "--select", "E,F", "--line-length", "140", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_a_name_says_the_contract_or_the_contract_is_given(tmp_path):
    assert "name it PREFIX_NAME or add --contract" in bareboat("new", "foo", cwd=tmp_path, code=1)
    bareboat("new", "foo", "--contract", "proxy", cwd=tmp_path)
    assert "is there already" in bareboat("new", "foo", "--contract", "proxy", cwd=tmp_path, code=1)
    assert "is no name" in bareboat("new", "Foo!", cwd=tmp_path, code=1)
    assert [family_of(f"{w}_x", w)[0].word for w in WORDS] == list(WORDS)


def test_check_lists_every_problem_at_once(tmp_path):
    bareboat("new", "proxy_foo", cwd=tmp_path)
    folder = tmp_path / "proxy_foo"
    (folder / "bareboat_proxy_foo" / "options.py").write_text("import msgspec\n\n\nclass FooOptions(msgspec.Struct):\n    pass\n")
    (folder / "bareboat_proxy_foo" / "driver.py").write_text(
        "from bareboat.contracts import proxy\n\n\nclass FooProxyDriver(proxy.ProxyDriver):\n"
        "    def sync(self, state):\n        pass\n\n    async def teardown(self, everything):\n        pass\n"
    )
    (folder / "pyproject.toml").write_text(
        (folder / "pyproject.toml").read_text()
        + '\n[project.entry-points."bareboat.proxy.v9"]\nnew = "bareboat_proxy_foo.plugin:FooProxy"\n'
        + '\n[project.entry-points."bareboat.plugins"]\ngone = "bareboat_proxy_foo.nowhere"\n'
    )
    told = bareboat("check", folder, cwd=tmp_path, code=1)
    for problem in (
        "verb status is missing: Whether the back end can work now.",
        "verb sync must be `async def`",
        "verb teardown(everything) does not take what the contract passes: teardown()",
        "forbid_unknown_fields=True",
        "made for bareboat.proxy.v9; this kernel speaks",
        "importing bareboat_proxy_foo.nowhere failed: ModuleNotFoundError",
    ):
        assert problem in told


def test_check_looks_at_what_hooks_return(tmp_path):
    bareboat("new", "sched_foo", cwd=tmp_path)
    module = tmp_path / "sched_foo" / "bareboat_sched_foo" / "plugin.py"
    policy = "class P(SchedulingPolicy):\n    async def score(self, pod, nodes):\n        return None\n"
    head = "from bareboat.contracts.hooks import hookimpl\nfrom bareboat.contracts.scheduling import SchedulingPolicy\n\n\n"
    hook = "@hookimpl\ndef bareboat_scheduling_policies():\n    return [P(), 7]\n\n\ndef bareboat_controllers():\n    return []\n"
    module.write_text(head + policy + "\n\n" + hook)
    told = bareboat("check", tmp_path / "sched_foo", cwd=tmp_path, code=1)
    assert "bareboat_controllers is not marked: put @hookimpl" in told
    module.write_text(head + policy + "\n\n" + hook.rpartition("\n\n\n")[0] + "\n")
    told = bareboat("check", tmp_path / "sched_foo", cwd=tmp_path, code=1)
    for problem in ("7 is not a bareboat.contracts.scheduling.SchedulingPolicy", "P has no `name`", "verb score must not be async"):
        assert problem in told


def test_a_folder_without_a_plugin_says_what_is_missing(tmp_path):
    assert "has no pyproject.toml" in bareboat("check", tmp_path / "..", cwd=tmp_path, code=1)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert "the groups are bareboat.cni.v1" in bareboat("check", ".", cwd=tmp_path, code=1)
    assert "has no test that could be run" in bareboat("test", ".", cwd=tmp_path, code=1)
    assert "no plugin 'nothing' is installed" in bareboat("check", "nothing", cwd=tmp_path, code=1)
