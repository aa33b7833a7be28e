"""The command line: parses, picks the subcommand, and turns expected errors into one clear message and exit code 1.

argparse and late imports, because ``bareboat server`` and ``bareboat agent`` are long-lived processes whose start time and
memory count.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

import bareboat

#: name → one-line help, in the order of `bareboat --help`
COMMANDS = {
    "up": "bring up a cluster on this machine and leave it running",
    "down": "stop the cluster and remove every trace of it from the machine",
    "status": "what runs, on which nodes, with which plugins, at what cost",
    "init": "prepare a cluster that other machines can join",
    "join": "make this machine a node of a cluster that runs elsewhere",
    "token": "make, list and delete the tokens with which machines join",
    "certs": "show certificates and when they end, and renew them",
    "node": "list, stop, start, add and remove nodes",
    "demo": "bring up a cluster, run the example on it, show it working, clean up",
    "image": "load images into nodes, list them, remove those that nothing uses",
    "store": "back up, restore, verify, compact and look into what the cluster keeps",
    "plugins": "list, show and check plugins",
    "plugin": "write a plugin: begin it, test it, check it",
    "serve": "offer a driver on the standard socket of its kind, without a cluster",
    "install": "have systemd start the cluster with the machine",
    "uninstall": "undo that",
    "completion": "print a completion script for a shell",
    "server": "run the control plane in this process",
    "agent": "run the agent of one or more nodes in this process",
}


def build_parser(only: str | None = None, words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser; with ``only``, just that subcommand's module is imported, or asked for among those of plugins."""
    parser = argparse.ArgumentParser(prog="bareboat", description="A container orchestrator that ships without a crew.")
    parser.add_argument("--version", action="version", version=f"bareboat {bareboat.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if only in (None, name):
            module = importlib.import_module(f"bareboat.cli.commands.{name}")
            module.add(sub)
            sub.set_defaults(run=module.run)
    if only is not None and only not in COMMANDS:
        from bareboat.cli.contributed import add_to

        add_to(commands, only, words)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the ``bareboat`` command."""
    words = sys.argv[1:] if argv is None else list(argv)
    first = next((w for w in words if not w.startswith("-")), None)
    try:
        arguments = build_parser(first, words).parse_args(words)
        code = arguments.run(arguments)
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except _expected() as error:
        print(f"bareboat {first}: {error}", file=sys.stderr)
        code = 1
    sys.exit(code)


def _expected() -> tuple[type[Exception], ...]:
    from bareboat.client.kubeconfig import KubeconfigError
    from bareboat.cluster.errors import ClusterError
    from bareboat.cluster.file.reading import ClusterFileError
    from bareboat.cluster.processes import StartFailed
    from bareboat.contracts.errors import DriverError
    from bareboat.plugins.problems import PluginErrors

    return (ClusterError, ClusterFileError, KubeconfigError, StartFailed, PluginErrors, DriverError)
