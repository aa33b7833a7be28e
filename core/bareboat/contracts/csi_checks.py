"""What is wrong with a request to a storage driver, for drivers that do not want to write it themselves. Pure functions.

What comes in: the values of ``contracts.csi``. What goes out: InvalidConfig in words, or nothing. Whether there is such a volume, and room
for it, is the driver's to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from bareboat.contracts import csi
from bareboat.contracts.errors import Conflict, InvalidConfig

T = TypeVar("T")


#: Access modes of the API as the contract has them, the widest first.
MODES: dict[str, csi.AccessMode] = {
    "ReadWriteMany": "MULTI_NODE_MULTI_WRITER",
    "ReadOnlyMany": "MULTI_NODE_READER_ONLY",
    "ReadWriteOnce": "SINGLE_NODE_WRITER",
    "ReadWriteOncePod": "SINGLE_NODE_WRITER",
}
#: For drivers that tell one pod of a node from several.
PRECISE: dict[str, csi.AccessMode] = {"ReadWriteOnce": "SINGLE_NODE_MULTI_WRITER", "ReadWriteOncePod": "SINGLE_NODE_SINGLE_WRITER"}


def access_mode(modes: Sequence[str], *, precise: bool) -> csi.AccessMode:
    """The one that covers a volume's or claim's ``accessModes``."""
    widest = next((m for m in MODES if m in modes), "ReadWriteOnce")
    return PRECISE.get(widest, MODES[widest]) if precise else MODES[widest]


def given(**fields: object) -> None:
    """None of them is empty. Raises InvalidConfig."""
    for name, value in fields.items():
        if not value:
            raise InvalidConfig(f"{name} is missing")


def check_capacity(capacity: csi.CapacityRange) -> None:
    if capacity.required < 0 or capacity.limit < 0:
        raise InvalidConfig("a capacity is negative")
    if capacity.limit and capacity.required > capacity.limit:
        raise InvalidConfig(f"required are {capacity.required} bytes but the limit is {capacity.limit}")


def check_capabilities(capabilities: Sequence[csi.VolumeCapability]) -> None:
    given(capabilities=capabilities)
    if len({c.block for c in capabilities}) > 1:
        raise InvalidConfig("a volume is a device or a mount, not both")


def check_create(request: csi.CreateVolume, parameters: Sequence[str] = ()) -> None:
    """``parameters``: the names that the driver knows."""
    given(name=request.name)
    check_capabilities(request.capabilities)
    check_capacity(request.capacity)
    unknown = sorted(set(request.parameters) - set(parameters))
    if unknown:
        raise InvalidConfig(f"unknown parameter {unknown[0]!r}; known are: {', '.join(parameters) or 'none'}")
    if request.source is not None and bool(request.source.snapshot_id) == bool(request.source.volume_id):
        raise InvalidConfig("a source is a snapshot or a volume")


def check_same(request: csi.CreateVolume, made: csi.Volume) -> None:
    """Whether the volume that has the name already is what is asked for. Raises Conflict."""
    size, wanted = made.capacity_bytes, request.capacity
    if size < wanted.required or (wanted.limit and size > wanted.limit):
        raise Conflict(f"volume {request.name!r} exists with {size} bytes")
    if request.source != made.source:
        raise Conflict(f"volume {request.name!r} exists and was made from something else")


def check_stage(request: csi.NodeStage) -> csi.VolumeCapability:
    given(volume_id=request.volume_id, staging_target_path=request.staging_target_path, capability=request.capability)
    assert request.capability is not None
    return request.capability


def check_publish(request: csi.NodePublish) -> csi.VolumeCapability:
    given(volume_id=request.volume_id, target_path=request.target_path, capability=request.capability)
    assert request.capability is not None
    return request.capability


def reachable(topology: csi.Segments, requirement: csi.TopologyRequirement | None) -> bool:
    """Whether a place satisfies the requirement."""
    if requirement is None:
        return True
    terms = requirement.requisite or requirement.preferred
    return not terms or any(all(topology.get(k) == v for k, v in term.items()) for term in terms)


def page(entries: Sequence[T], max_entries: int, starting_token: str) -> tuple[tuple[T, ...], str]:
    """At most so many from the token on, and the next token; tokens are places in the list."""
    if max_entries < 0:
        raise InvalidConfig("max_entries is negative")
    if starting_token and not (starting_token.isdecimal() and int(starting_token) <= len(entries)):
        raise InvalidConfig(f"{starting_token!r} is no token of this list", reason="InvalidToken")
    start = int(starting_token or 0)
    end = start + max_entries if max_entries else len(entries)
    return tuple(entries[start:end]), str(end) if end < len(entries) else ""
