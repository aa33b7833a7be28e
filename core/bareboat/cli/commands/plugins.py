"""``bareboat plugins list|show|check``: what is installed, what the cluster file enables, and whether it is sound."""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import inspect
import re
import sys
from typing import Any

import msgspec

import bareboat
from bareboat.cli.commands.plugin import named, told
from bareboat.cli.options import add_cluster_options, cluster_of
from bareboat.cli.screen import print_json, table
from bareboat.cluster.file.choices import check
from bareboat.cluster.file.shape import ClusterFile, Node
from bareboat.cluster.layout import Layout
from bareboat.contracts import hooks
from bareboat.models.status import ApiError
from bareboat.plugins.inventory import DRIVER_GROUPS, GROUPS, Installed, Inventory
from bareboat.plugins.loader import Loader


def add(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in (
        ("list", "every installed plugin and whether this cluster uses it"),
        ("show", "one plugin: where it comes from, its options, its capabilities"),
        ("check", "load what the cluster file names (or one plugin) as the kernel would, and list every problem"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        add_cluster_options(action)
        action.add_argument("--output", "-o", choices=["table", "json"], default="table")
        if name != "list":
            action.add_argument("plugin", nargs="?" if name == "check" else None, help="name of a plugin")


def run(arguments: argparse.Namespace) -> int:
    actions = {"list": _list, "show": _show, "check": _check}
    return actions[arguments.action](arguments, Inventory())


def _list(arguments: argparse.Namespace, inventory: Inventory) -> int:
    cluster, _, layout = cluster_of(arguments)
    used, health = _enabled(cluster), _health(layout)
    rows = [(p.name, p.group, p.distribution, p.version, _state(p, used), health.get((p.group, p.name), "")) for p in inventory.all()]
    if arguments.output == "json":
        print_json([dict(zip(("name", "contract", "distribution", "version", "state", "health"), row, strict=True)) for row in rows])
    else:
        table(("NAME", "CONTRACT", "DISTRIBUTION", "VERSION", "STATE", "HEALTH"), rows)
        print(f"\nbareboat {bareboat.__version__} speaks {', '.join(sorted(GROUPS.values()))}")
    return 0


def _health(layout: Layout) -> dict[tuple[str, str], str]:
    """Of what a running cluster has loaded, by contract and name: where it is well, and what is wrong elsewhere. {} if none runs."""
    from bareboat.cluster import state as states

    found = states.load(layout)
    if found is None or found.server is None or not found.server.alive:
        return {}
    return asyncio.run(_told(layout))


async def _told(layout: Layout) -> dict[tuple[str, str], str]:
    from bareboat.client.client import checked
    from bareboat.cluster.nodes import Administrator

    administrator = Administrator(layout)
    try:
        async with administrator:
            answer = checked(await administrator.transport.request("GET", "/apis/bareboat.dev/v1/plugins"))
    except ApiError as error:
        print(f"how they are is not known: {error}", file=sys.stderr)
        return {}
    places: dict[tuple[str, str], list[str]] = {}
    for item in msgspec.json.decode(answer.body).get("items") or ():
        spec, status = item["spec"], item.get("status", {})
        state = "well" if status.get("state") == "Loaded" else f"{status.get('state')}: {status.get('message', '')}".rstrip(": ")
        places.setdefault((spec["contract"], spec["name"]), []).append(f"{spec.get('node') or 'server'} {state}")
    return {key: ", ".join(sorted(told)) for key, told in places.items()}


def _state(plugin: Installed, used: set[tuple[str, str]]) -> str:
    """incompatible: made for a version of the contract that this kernel does not speak."""
    if plugin.group not in GROUPS.values():
        return "incompatible"
    return "enabled" if (plugin.group, plugin.name) in used else "installed"


def _enabled(cluster: ClusterFile) -> set[tuple[str, str]]:
    return set().union(*(_of_node(node) for node in (cluster.node, *(s.over(cluster.node) for s in cluster.nodes)))) | {
        (DRIVER_GROUPS["store"], cluster.store.use),
        *((hooks.GROUP, p.use) for p in cluster.plugins),
    }


def _of_node(node: Node) -> set[tuple[str, str]]:
    used = {(DRIVER_GROUPS["runtime"], r.use) for r in node.runtimes} | {(hooks.GROUP, p.use) for p in node.plugins}
    if node.networkPolicy is not None:
        used.add((DRIVER_GROUPS["networkPolicy"], node.networkPolicy.use))
    used |= {(DRIVER_GROUPS["storage"], s.use) for s in node.storage} | {(DRIVER_GROUPS["buckets"], b.use) for b in node.buckets}
    return used | {
        (DRIVER_GROUPS["network"], node.network.use),
        (DRIVER_GROUPS["proxy"], node.proxy.use),
    }


def _show(arguments: argparse.Namespace, inventory: Inventory) -> int:
    shown = [_description(p, inventory) for p in named(inventory, arguments.plugin)]
    if arguments.output == "json":
        print_json(shown)
        return 0
    for description in shown:
        for key, value in description.items():
            if isinstance(value, dict):
                print(f"{key}:")
                for name, text in value.items():
                    print(f"  {name:<24} {text}")
            else:
                print(f"{key + ':':<14} {value}")
        print()
    return 0


def _description(plugin: Installed, inventory: Inventory) -> dict[str, Any]:
    description: dict[str, Any] = {
        "name": plugin.name,
        "contract": plugin.group,
        "distribution": f"{plugin.distribution} {plugin.version}",
        "kernel": _fit(plugin),
        "object": plugin.target,
    }
    if plugin.group not in GROUPS.values():
        return description
    found = inventory.entry_point(plugin).load()
    if plugin.group == hooks.GROUP:
        names = [h for h in vars(hooks) if h.startswith("bareboat_") and hasattr(found, h)]
        return {**description, "hooks": ", ".join(names)}
    description["summary"] = found.info.summary
    description["options"] = {f.encode_name: _default(f) for f in _fields(found.Options)}
    capabilities = getattr(found, "capabilities", None)
    if capabilities is not None:
        description["capabilities"] = {name: str(getattr(capabilities, name)) for name in capabilities.__struct_fields__}
    description["mixins"] = (
        ", ".join(c.__name__ for c in inspect.getmro(found)[1:] if c.__module__.startswith("bareboat.contracts")) or "none"
    )
    return description


def _fit(plugin: Installed) -> str:
    """What its distribution asks of the kernel, beside what the kernel is."""
    wanted = [r for r in importlib.metadata.requires(plugin.distribution) or () if re.match(r"bareboat\b(?!-)", r)]
    spoken = "" if plugin.group in GROUPS.values() else f", which does not speak {plugin.group}"
    return f"made for {', '.join(wanted) or 'any bareboat'}; this is bareboat {bareboat.__version__}{spoken}"


def _fields(options: type[Any]) -> tuple[Any, ...]:
    import msgspec

    return msgspec.structs.fields(options)


def _default(field: Any) -> str:
    import msgspec

    if field.default is not msgspec.NODEFAULT:
        return f"default {field.default!r}"
    return "required" if field.default_factory is msgspec.NODEFAULT else f"default {field.default_factory()!r}"


def _check(arguments: argparse.Namespace, inventory: Inventory) -> int:
    loader = Loader(inventory)
    if not arguments.plugin:
        cluster, lines, _ = cluster_of(arguments)
        check(cluster, loader, lines)
        if arguments.output == "json":
            print_json({"cluster": cluster.name, "problems": []})
        else:
            print(f"all plugins that cluster {cluster.name!r} names can be loaded")
        return 0
    return told({p.label: loader.check(p) for p in named(inventory, arguments.plugin)}, arguments.output)
