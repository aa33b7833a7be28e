"""Subcommands of plugins: looked for when the first word is none of the kernel's, in the plugins that the cluster file names.

In: the words of the command line. Out: a parser for the one that is meant, or nothing. ``--config``, ``--name`` and ``--data-dir`` choose
the cluster file, as everywhere.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bareboat.contracts.contributions import Command


def commands(words: Sequence[str]) -> list[Command]:
    """What plugins offer. Raises ClusterFileError, PluginErrors."""
    from bareboat.cli.options import add_cluster_options, cluster_of
    from bareboat.cluster.file.choices import hook_choices
    from bareboat.plugins.loader import Loader

    chooser = argparse.ArgumentParser(add_help=False)
    add_cluster_options(chooser)
    chosen, _ = chooser.parse_known_args([w for w in words if w not in ("-h", "--help")])
    cluster, lines, _ = cluster_of(chosen)
    loader = Loader()
    installed = set(loader.inventory.names("bareboat.plugins"))
    wanted = [choice for choice in hook_choices(cluster, lines) if choice.use in installed]
    found: list[Command] = loader.hooks(wanted).collect("bareboat_cli")
    return found


def add_to(parsers: argparse._SubParsersAction[argparse.ArgumentParser], name: str, words: Sequence[str]) -> None:
    """The subcommand of that name, if a plugin has it."""
    from bareboat.cli.options import add_cluster_options

    for command in commands(words):
        if command.name == name:
            parser = parsers.add_parser(name, help=command.summary, description=command.summary)
            add_cluster_options(parser)
            command.add(parser)
            parser.set_defaults(run=command.run)
            return
