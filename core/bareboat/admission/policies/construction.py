"""``Object{...}`` and ``JSONPatch{...}`` in expressions: CEL knows messages only by their types, here they are maps.

In: an expression's text. Out: the same with such literals spelled as maps: ``Object.spec{replicas: 1}`` becomes ``{"replicas": 1}``.
"""

from __future__ import annotations

import re

_PIECE = re.compile(
    r"""(?P<string>[bBrR]{0,2}(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))"""
    r"""|(?P<comment>//[^\n]*)|(?P<space>\s+)|(?P<path>[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)|(?P<other>.)""",
    re.DOTALL,
)
_SPELLED = (("__underscores__", "__"), ("__dot__", "."), ("__dash__", "-"), ("__slash__", "/"))
_RESERVED = re.compile(r"__([a-z]+)__")


def as_maps(text: str) -> str:
    """Text without such literals is returned as it is."""
    if "Object" not in text and "JSONPatch" not in text:
        return text
    pieces = [(m.lastgroup or "", m[0]) for m in _PIECE.finditer(text) if m.lastgroup != "comment"]
    out: list[str] = []
    braces: list[bool] = []  # of each open bracket: whether it began such a literal
    field = False
    for index, (kind, piece) in enumerate(pieces):
        if kind == "path" and _is_type(piece) and _next(pieces, index) == "{":
            continue
        if kind == "path" and field and braces and braces[-1] and _next(pieces, index) == ":":
            out.append(f'"{_name(piece)}"')
            field = False
            continue
        if piece in "{[(" and kind == "other":
            braces.append(piece == "{" and _is_type(_previous(pieces, index)))
        elif piece in "}])" and kind == "other" and braces:
            braces.pop()
        if kind != "space" and piece != "?":
            field = piece in ("{", ",")
        out.append(piece)
    return "".join(out)


def _is_type(path: str) -> bool:
    return re.split(r"\s*\.\s*", path)[0] in ("Object", "JSONPatch")


def _next(pieces: list[tuple[str, str]], index: int) -> str:
    return next((piece for kind, piece in pieces[index + 1 :] if kind != "space"), "")


def _previous(pieces: list[tuple[str, str]], index: int) -> str:
    return next((piece for kind, piece in reversed(pieces[:index]) if kind != "space"), "")


def _name(spelled: str) -> str:
    reserved = _RESERVED.fullmatch(spelled)
    if reserved is not None and spelled not in dict(_SPELLED):
        return reserved[1]
    for written, meant in _SPELLED:
        spelled = spelled.replace(written, meant)
    return spelled
