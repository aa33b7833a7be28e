"""``bareboat completion bash|zsh|fish``: a script made from the parsers themselves, so that it cannot be out of date."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=["bash", "zsh", "fish"])
    parser.epilog = "Load it with: source <(bareboat completion bash)"


def run(arguments: argparse.Namespace) -> int:
    from bareboat.cli import completion
    from bareboat.cli.main import build_parser

    print(completion.script(arguments.shell, build_parser()))
    return 0
