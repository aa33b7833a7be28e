"""The words of a CEL expression. In: text. Out: tokens with their places, or a fault."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n\f]+|//[^\n]*)
  | (?P<bytes>[bB][rR]?(?:\"\"\"(?:.|\n)*?\"\"\"|'''(?:.|\n)*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
  | (?P<string>[rR]?(?:\"\"\"(?:.|\n)*?\"\"\"|'''(?:.|\n)*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
  | (?P<double>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
  | (?P<uint>(?:0x[0-9a-fA-F]+|\d+)[uU])
  | (?P<int>0x[0-9a-fA-F]+|\d+)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<quoted>`[A-Za-z0-9_./\- ]+`)
  | (?P<symbol>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])
    """,
    re.VERBOSE | re.ASCII,
)
#: Names of nothing, but for members: ``object.metadata.namespace``.
RESERVED = frozenset(
    (
        *("as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace"),
        *("return", "var", "void", "while"),
    )
)


class ExpressionFault(ValueError):
    """What is wrong with an expression, with its place."""

    def __init__(self, text: str, place: int, message: str) -> None:
        before = text[:place]
        self.line = before.count("\n") + 1
        self.column = place - (before.rfind("\n") + 1) + 1
        line = text.split("\n")[self.line - 1]
        pointer = "." * (self.column - 1) + "^"
        super().__init__(f"compilation failed: ERROR: <input>:{self.line}:{self.column}: {message}\n | {line}\n | {pointer}")


@dataclass(frozen=True, slots=True)
class Token:
    """``kind``: name, string, bytes, int, uint, double, quoted, symbol or end."""

    kind: str
    text: str
    place: int


def tokens(text: str) -> list[Token]:
    """Raises ExpressionFault."""
    found: list[Token] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ExpressionFault(text, place, f"Syntax error: token recognition error at: '{text[place]}'")
        kind = str(match.lastgroup)
        if kind != "space":
            found.append(Token(kind, match[0], place))
        place = match.end()
    found.append(Token("end", "<EOF>", len(text)))
    return found
