"""``bareboat plugin new|test|check``: the path of whoever writes a plugin."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path

from bareboat.cli.authoring import families, folder, layout
from bareboat.cli.screen import print_json, table, toned
from bareboat.cluster.errors import ClusterError
from bareboat.plugins.inventory import Installed, Inventory
from bareboat.plugins.loader import Loader

COLOURS = {"passed": "green", "failed": "red", "broken": "red", "skipped": "yellow", "deviates": "yellow"}


def add(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("new", help="write the files of a new plugin, whose tests say what is still to be written")
    new.add_argument("name", help="such as cri_foo, cni_foo, csi_foo, sched_foo, admission_foo: lower-case letters, digits, underscores")
    new.add_argument("--contract", choices=families.WORDS, help="what it is (default: what the name begins with)")
    new.add_argument("--directory", type=Path, default=Path(), metavar="DIR", help="where its folder is made (default: here)")
    test = actions.add_parser("test", help="run the kit: every rule of the contract with its result")
    test.add_argument("path", nargs="?", type=Path, default=Path(), help="folder of the plugin (default: this one)")
    test.add_argument("--verbose", "-v", action="store_true", help="show what pytest prints")
    test.add_argument("-k", dest="only", default="", metavar="WORDS", help="only rules whose names match, as pytest's -k")
    check = actions.add_parser("check", help="load it as the kernel would and list every problem")
    check.add_argument("plugin", help="folder of a plugin, or the name of one that is installed")
    for action in (test, check):
        action.add_argument("--output", "-o", choices=["table", "json"], default="table")


def run(arguments: argparse.Namespace) -> int:
    return {"new": _new, "test": _test, "check": _check}[arguments.action](arguments)


def _new(arguments: argparse.Namespace) -> int:
    name = arguments.name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ClusterError(f"{arguments.name!r} is no name: lower-case letters, digits and underscores, such as cri_foo")
    try:
        family, own = families.family_of(name, arguments.contract or "")
    except ValueError as error:
        raise ClusterError(str(error)) from error
    target = arguments.directory / name
    if target.exists():
        raise ClusterError(f"{target} is there already: choose another name, or remove it")
    for path, text in layout.files(family, name, own).items():
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        print(file)
    print(f"\n{target} is {family.summary}. What is still to be written: bareboat plugin test {target}")
    return 0


def _test(arguments: argparse.Namespace) -> int:
    from bareboat.cli.authoring import kit

    words = ["-k", arguments.only] if arguments.only else []
    rules = kit.run(arguments.path.resolve(), loud=arguments.verbose and arguments.output != "json", words=words)
    counted = Counter(rule.result for rule in rules)
    if arguments.output == "json":
        print_json({"rules": rules, "results": dict(counted)})
    else:
        table(("RESULT", "RULE", "REASON"), [(toned(r.result, COLOURS.get(r.result, "")), r.rule, r.reason) for r in rules])
        print(f"\n{len(rules)} rules: " + ", ".join(f"{n} {result}" for result, n in sorted(counted.items())))
    return 1 if counted["failed"] or counted["broken"] else 0


def _check(arguments: argparse.Namespace) -> int:
    if folder.is_folder(arguments.plugin):
        with folder.opened(Path(arguments.plugin)) as inventory:
            faults = {p.label: Loader(inventory).check(p) for p in inventory.all()}
    else:
        inventory = Inventory()
        faults = {p.label: Loader(inventory).check(p) for p in named(inventory, arguments.plugin)}
    return told(faults, arguments.output)


def named(inventory: Inventory, name: str) -> list[Installed]:
    """Raises ClusterError with those that there are."""
    found = [p for p in inventory.all() if p.name == name]
    if not found:
        known = ", ".join(sorted({p.name for p in inventory.all()}))
        raise ClusterError(f"no plugin {name!r} is installed; installed: {known}")
    return found


def told(faults: dict[str, list[str]], output: str) -> int:
    """Shown, and the exit code."""
    if output == "json":
        print_json(faults)
    else:
        for label, found in faults.items():
            print(f"{label}: {'sound' if not found else ''}")
            for fault in found:
                print(f"  - {fault}")
    return 1 if any(faults.values()) else 0
