"""Completion scripts for shells, from an argparse tree. Pure: in a parser, out a text.

The tree is flattened into one entry per path of subcommands: its words (further subcommands and options), and for each option what may
follow it. The scripts only look these up; files are completed wherever nothing else is known.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Sequence

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """``path`` "" for the program itself, else "node list". ``choices`` by option; () for an option that takes any value."""

    path: str
    commands: dict[str, str]
    options: dict[str, str]
    choices: dict[str, tuple[str, ...]]
    operands: tuple[str, ...]


def entries(parser: argparse.ArgumentParser, path: Sequence[str] = ()) -> Iterator[Entry]:
    """Of the parser and everything below it."""
    below: dict[str, argparse.ArgumentParser] = {}
    commands: dict[str, str] = {}
    options: dict[str, str] = {}
    choices: dict[str, tuple[str, ...]] = {}
    operands: tuple[str, ...] = ()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            below = dict(action.choices)
            commands = {c.dest: c.help or "" for c in action._choices_actions}
        elif action.option_strings and action.help != argparse.SUPPRESS:
            for name in action.option_strings:
                options[name] = action.help or ""
                if action.nargs != 0:
                    choices[name] = tuple(str(c) for c in action.choices or ())
        elif not action.option_strings and action.choices:
            operands = tuple(str(c) for c in action.choices)
    yield Entry(" ".join(path), commands, options, choices, operands)
    for name, sub in below.items():
        yield from entries(sub, (*path, name))


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    found = list(entries(parser))
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](parser.prog, found)


def _bash(program: str, found: list[Entry]) -> str:
    paths = "|".join(shlex.quote(f" {e.path}") for e in found if e.path)
    words = "\n".join(f"    {shlex.quote(_key(e))}) words={shlex.quote(' '.join(_words(e)))} ;;" for e in found)
    values = "\n".join(
        f"    {shlex.quote(f'{_key(e)} {option}')}) words={shlex.quote(' '.join(allowed))}; files= ;;"
        if allowed
        else f"    {shlex.quote(f'{_key(e)} {option}')}) words=; files=1 ;;"
        for e in found
        for option, allowed in e.choices.items()
    )
    return f"""# bash completion of {program}
_{program}() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} path= words= files=1 i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path ${{COMP_WORDS[i]}}" in
    {paths}) path="$path ${{COMP_WORDS[i]}}" ;;
    esac
  done
  case "$path" in
{words}
  esac
  case "$path $prev" in
{values}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ $files && ${{#COMPREPLY[@]}} -eq 0 && $cur != -* ]]; then COMPREPLY=($(compgen -f -- "$cur")); fi
}}
complete -o filenames -F _{program} {program}"""


def _zsh(program: str, found: list[Entry]) -> str:
    return f"""#compdef {program}
autoload -U +X bashcompinit && bashcompinit
{_bash(program, found)}"""


def _fish(program: str, found: list[Entry]) -> str:
    lines = [f"# fish completion of {program}", f"complete -c {program} -f"]
    for entry in found:
        at = entry.path.split()
        when = " and ".join(f"__fish_seen_subcommand_from {w}" for w in at) or "__fish_use_subcommand"
        if entry.commands and at:
            when += f" and not __fish_seen_subcommand_from {' '.join(entry.commands)}"
        for name, text in entry.commands.items():
            lines.append(f"complete -c {program} -n {shlex.quote(when)} -a {name} -d {shlex.quote(text)}")
        for operand in entry.operands:
            lines.append(f"complete -c {program} -n {shlex.quote(when)} -a {operand}")
        for option, text in entry.options.items():
            flag = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            allowed = entry.choices.get(option)
            takes = "" if allowed is None else f" -x -a {shlex.quote(' '.join(allowed))}" if allowed else " -r -F"
            lines.append(f"complete -c {program} -n {shlex.quote(when)} {flag}{takes} -d {shlex.quote(text)}")
    return "\n".join(lines)


def _key(entry: Entry) -> str:
    return f" {entry.path}" if entry.path else ""


def _words(entry: Entry) -> list[str]:
    return [*entry.commands, *entry.operands, *(o for o in entry.options if o.startswith("--"))]
