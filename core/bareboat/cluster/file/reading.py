"""Reading the cluster file so that every error names the line, the field, the value and what is allowed.

What comes in: YAML text. What goes out: a ``ClusterFile``, or ``ClusterFileError`` with the place. PyYAML's node tree gives
the line of every path; msgspec does the checking. Which plugins exist is not known here.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from bareboat.cluster.file.shape import ClusterFile

_PLACE = re.compile(r" - at `(?P<path>[^`]+)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]+)`")


class ClusterFileError(Exception):
    """The file cannot be used; nothing was changed. ``line`` counts from 1 (0 = the whole file)."""

    def __init__(self, source: str, line: int, message: str) -> None:
        super().__init__(f"{source}:{line}: {message}" if line else f"{source}: {message}")
        self.line = line
        self.message = message


class Lines:
    """Where each path of the document stands: ``$.node.runtimes[0].use`` → line."""

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}

    def put(self, path: str, line: int) -> None:
        self._lines[path] = line

    def of(self, path: str) -> int:
        """The line of ``path`` or of the nearest parent that the file has."""
        while path not in self._lines and path != "$":
            path = re.sub(r"(\.[^.\[]+|\[[^\]]*\])$", "", path) or "$"
        return self._lines.get(path, 1)


def read(path: Path) -> tuple[ClusterFile, Lines]:
    """Read and check a file. Raises ClusterFileError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ClusterFileError(str(path), 0, f"cannot be read: {error.strerror}") from error
    return parse(text, str(path))


def parse(text: str, source: str = "bareboat.yaml") -> tuple[ClusterFile, Lines]:
    """Check the text. Raises ClusterFileError."""
    lines = Lines()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = {} if root is None else _plain(root, "$", lines, source)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ClusterFileError(source, line, f"not YAML: {error.problem}") from error
    try:
        cluster = msgspec.convert(tree, ClusterFile)
    except msgspec.ValidationError as error:
        raise _explain(str(error), lines, source) from error
    _check_values(cluster, lines, source)
    return cluster, lines


def _plain(node: yaml.Node, path: str, lines: Lines, source: str) -> Any:
    lines.put(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in result:
                raise ClusterFileError(source, line, f"{path[2:] or 'the file'}: key {key!r} stands twice: remove one")
            result[key] = _plain(value_node, f"{path}.{key}", lines, source)
            lines.put(f"{path}.{key}", line)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, f"{path}[{i}]", lines, source) for i, item in enumerate(node.value)]
    return yaml.SafeLoader("").construct_object(node)


def _explain(message: str, lines: Lines, source: str) -> ClusterFileError:
    found = _PLACE.search(message)
    path = found["path"] if found else "$"
    text = _PLACE.sub("", message)
    unknown = _UNKNOWN.search(text)
    if unknown:
        allowed = ", ".join(_fields(path))
        path = f"{path}.{unknown['field']}"
        text = f"unknown field; allowed here: {allowed}"
    known = path.split("[...]")[0]  # msgspec writes [...] for the values of a mapping: the parent's line must do
    return ClusterFileError(source, lines.of(known), f"{known[2:] or 'the file'}: {text}")


def _fields(path: str) -> list[str]:
    """The fields of the Struct at ``path``, found by walking the shape."""
    current: Any = msgspec.inspect.type_info(ClusterFile)
    for step in re.findall(r"\.([A-Za-z]+)|(\[)", path):
        name = step[0]
        if name and isinstance(current, msgspec.inspect.StructType):
            current = next(f.type for f in current.fields if f.encode_name == name)
        elif isinstance(current, msgspec.inspect.ListType):
            current = current.item_type
    return [f.encode_name for f in current.fields] if isinstance(current, msgspec.inspect.StructType) else []


def _check_values(cluster: ClusterFile, lines: Lines, source: str) -> None:
    def fail(path: str, message: str) -> None:
        raise ClusterFileError(source, lines.of(f"$.{path}"), f"{path}: {message}")

    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", cluster.name):
        fail("name", f"{cluster.name!r} must be lower-case letters, digits and dashes")
    for field in ("podCIDR", "serviceCIDR"):
        value = getattr(cluster.networking, field)
        try:
            ipaddress.IPv4Network(value)
        except ValueError as error:
            fail(f"networking.{field}", f"{value!r} is not an IPv4 network such as 10.244.0.0/16: {error}")
    if ipaddress.IPv4Network(cluster.networking.podCIDR).overlaps(ipaddress.IPv4Network(cluster.networking.serviceCIDR)):
        fail("networking.serviceCIDR", f"{cluster.networking.serviceCIDR!r} overlaps networking.podCIDR: choose another")
    low, high = node_port_range(cluster.networking.nodePorts)
    if not 1 <= low <= high <= 65535:
        fail("networking.nodePorts", f"{cluster.networking.nodePorts!r} must be FIRST-LAST within 1-65535, such as 30000-32767")
    if not 0 < seconds(cluster.server.eventTTL) < 1e9:
        fail("server.eventTTL", f"{cluster.server.eventTTL!r} must be a duration such as 90s, 30m or 1h")
    if not cluster.node.runtimes:
        fail("node.runtimes", "at least one runtime is needed, such as [{use: process}]")


def node_port_range(text: str) -> tuple[int, int]:
    """First and last port; (0, 0) if ``text`` is not FIRST-LAST."""
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def seconds(text: str) -> float:
    """Of a duration such as 90s, 30m, 1h30m; 0 if it is none."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    return sum(int(part or 0) * unit for part, unit in zip(found.groups(), (3600, 60, 1), strict=True)) if found else 0.0
