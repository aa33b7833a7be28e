"""YAML bodies as JSON, safe from what YAML allows: a nesting that ends the parser's stack, aliases that unfold to gigabytes.

The document is first run through as events, which needs no stack, and refused if it is too deep or unfolds to too much; only
then it is composed (by libyaml, which would end the process on a deep one) and made a tree.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from bareboat.models.codec import has_duplicates
from bareboat.models.status import BadRequest

#: Levels of nesting at most.
DEPTH = 500
#: Nodes that a document with aliases may unfold to, whatever its size.
UNFOLDED = 100_000
#: Larger documents are worked on in a thread before the request is: they take seconds.
INLINE = 32 * 1024
_loader: Any = None
_ready: dict[bytes, tuple[bytes | BadRequest, list[str]]] = {}


@asynccontextmanager
async def unpacked(data: bytes, content_type: str, one: asyncio.Lock) -> AsyncIterator[None]:
    """While it is entered, ``yaml_to_json`` and ``repeated_keys`` have their answers for a large body. ``one`` at a time is worked on."""
    if len(data) <= INLINE or "yaml" not in content_type or _plain_json(data):
        yield
        return
    async with one:
        _ready[data] = await asyncio.to_thread(_both, data)
    try:
        yield
    finally:
        _ready.pop(data, None)


def _plain_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
        return not has_duplicates(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _both(data: bytes) -> tuple[bytes | BadRequest, list[str]]:
    try:
        return yaml_to_json(data), repeated_keys(data)
    except BadRequest as error:
        return error, []


def yaml_to_json(data: bytes) -> bytes:
    """One YAML document as JSON. Duplicate keys keep the last. Raises BadRequest."""
    import yaml

    if len(data) > INLINE and (ready := _ready.get(data)) is not None:
        if isinstance(ready[0], BadRequest):
            raise ready[0]
        return ready[0]
    try:
        check(data)
        tree = yaml.load(data, Loader=_own_loader())  # noqa: S506  a SafeLoader
        return msgspec.json.encode(_string_keys(tree))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError, TypeError) as error:
        raise BadRequest(f"error converting YAML to JSON: {error}") from error


def repeated_keys(data: bytes) -> list[str]:
    """Keys that come twice in one mapping of a YAML (or JSON) document, with their lines. [] for what is no YAML: the decoder says so."""
    import yaml

    if len(data) > INLINE and (ready := _ready.get(data)) is not None:
        return ready[1]
    try:
        check(data)
        root = yaml.compose(data, Loader=_safe())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        return []
    found: list[str] = []
    waiting, visited = [root] if root is not None else [], set()
    while waiting:
        node = waiting.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue
                if key.value in seen:
                    found.append(f'line {key.start_mark.line + 1}: key "{key.value}" already set in map')
                seen.add(key.value)
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return sorted(found, key=lambda text: int(text.split()[1].rstrip(":")))


def as_one(repeated: list[str]) -> str:
    """Upstream's words for repeated keys."""
    return "yaml: unmarshal errors:\n  " + "\n  ".join(repeated)


def check(data: bytes) -> None:
    """Raises ValueError for a document that is too deep or unfolds to too much, YAMLError for what is none."""
    import yaml

    own = 0
    sizes: dict[str | None, int] = {}
    #: per open collection: its anchor, and how many nodes it has when its aliases are unfolded
    open_: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(data, Loader=_safe()):
        if isinstance(event, yaml.CollectionStartEvent):
            if len(open_) > DEPTH:
                raise ValueError(f"yaml: exceeded max depth of {DEPTH}")
            open_.append((event.anchor, 1))
            own += 1
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_.pop()
            if anchor is not None:
                sizes[anchor] = size
        elif isinstance(event, yaml.AliasEvent):
            size = sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            size, own = 1, own + 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        else:
            continue
        anchor, so_far = open_[-1]
        open_[-1] = (anchor, so_far + size)
        if so_far + size > UNFOLDED and so_far + size > 10 * own:
            raise ValueError("yaml: document contains excessive aliasing")


def _safe() -> Any:
    import yaml

    return yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


def _own_loader() -> Any:
    """Timestamps stay strings, as in Go's YAML to JSON."""
    global _loader
    if _loader is None:
        base = _safe()
        resolvers = {
            first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
            for first, found in base.yaml_implicit_resolvers.items()
        }
        _loader = type("Loader", (base,), {"yaml_implicit_resolvers": resolvers})
    return _loader


def _string_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(k): _string_keys(v) for k, v in value.items()}
    return [_string_keys(v) for v in value] if isinstance(value, list) else value


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)
