"""Small readings of an object's metadata and conditions that every controller needs. Pure functions over typed objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from bareboat.models import meta_v1
    from bareboat.models.scheme import Resource


class Object(Protocol):
    """Any top-level object."""

    metadata: meta_v1.ObjectMeta


class Condition(Protocol):
    """What the condition types of all kinds share."""

    type: str
    status: str
    reason: Any
    message: Any
    lastTransitionTime: Any


C = TypeVar("C", bound=Condition)


def key(obj: Object) -> str:
    """`namespace/name`; `/name` for a cluster-scoped object."""
    return f"{obj.metadata.namespace}/{obj.metadata.name}"


def split_key(text: str) -> tuple[str, str]:
    """Namespace and name of a key."""
    namespace, _, name = text.rpartition("/")
    return namespace, name


def is_being_deleted(obj: Object) -> bool:
    return obj.metadata.deletionTimestamp is not None


def controller_of(meta: meta_v1.ObjectMeta) -> meta_v1.OwnerReference | None:
    """The owner that manages the object, if it has one."""
    for owner in meta.ownerReferences:
        if owner.controller:
            return owner
    return None


def is_controlled_by(obj: Object, owner: Object) -> bool:
    found = controller_of(obj.metadata)
    return found is not None and found.uid == owner.metadata.uid


def owner_reference(owner: Object, resource: Resource, controller: bool = True) -> meta_v1.OwnerReference:
    """A reference to put into what the owner creates."""
    from bareboat.models import meta_v1

    return meta_v1.OwnerReference(
        apiVersion=resource.api_version,
        kind=resource.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=controller or None,
        blockOwnerDeletion=controller or None,
    )


def get_condition(conditions: Sequence[C], type: str) -> C | None:
    for condition in conditions:
        if condition.type == type:
            return condition
    return None


def is_condition_true(conditions: Sequence[Condition], type: str) -> bool:
    found = get_condition(conditions, type)
    return found is not None and found.status == "True"


def set_condition(
    conditions: list[C],
    type: str,
    status: str,
    reason: str,
    message: str,
    now: str,
    cls: Callable[..., C] | None = None,
) -> bool:
    """Adds the condition or updates the one of its type; the transition time moves only with the status. True if anything changed.

    A new one is of `cls`, else of the class of its neighbours, else a metav1 Condition.
    """
    found = get_condition(conditions, type)
    if found is None:
        conditions.append(
            _condition_class(conditions, cls)(type=type, status=status, reason=reason, message=message, lastTransitionTime=now)
        )
        return True
    if (found.status, found.reason, found.message) == (status, reason, message):
        return False
    if found.status != status:
        found.lastTransitionTime = now
    found.status, found.reason, found.message = status, reason, message
    return True


def _condition_class(conditions: list[C], cls: Callable[..., C] | None) -> Callable[..., Any]:
    from bareboat.models import meta_v1

    if cls is not None:
        return cls
    return type(conditions[0]) if conditions else meta_v1.Condition
