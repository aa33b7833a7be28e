"""The life of a definition beside its writes: names accepted or in conflict, established, its objects removed, gone.

In: changes of definitions. Out: their status, written as the manager ``kube-apiserver``, and the end of the objects of those that
are being deleted. What a name conflicts with are the accepted names of the other definitions of its group.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from bareboat.api.custom.definition import Names
from bareboat.api.custom.kinds import DEFINITIONS
from bareboat.api.inprocess import InProcessTransport
from bareboat.api.kinds.apiextensions.definitions import CLEANUP
from bareboat.client.client import Client, checked, collection
from bareboat.contracts.auth import UserInfo
from bareboat.models import apiextensions_v1 as v1
from bareboat.models import scalars
from bareboat.models.codec import decode
from bareboat.models.meta import set_condition
from bareboat.models.status import ApiError, Conflict, quote
from bareboat.reconcile.queue import WorkQueue
from bareboat.store.entry import Entry

if TYPE_CHECKING:
    from bareboat.api.service import Service

log = logging.getLogger("bareboat.custom")
SERVER = UserInfo(name="system:apiserver", groups=("system:masters", "system:authenticated"))
APPROVED = "api-approved.kubernetes.io"
#: Seconds between looks at objects that something holds.
LOOK_AGAIN = 1.0


class _Spec(msgspec.Struct):
    group: str
    names: Names


class _Metadata(msgspec.Struct):
    name: str
    annotations: dict[str, str] = {}
    finalizers: list[str] = []
    deletionTimestamp: str | None = None


class _Status(msgspec.Struct):
    conditions: list[v1.CustomResourceDefinitionCondition] | None = None
    acceptedNames: Names = msgspec.field(default_factory=Names)


class _Outline(msgspec.Struct):
    """A definition without its versions: what naming needs of it."""

    metadata: _Metadata
    spec: _Spec
    status: _Status = msgspec.field(default_factory=_Status)


_decode = msgspec.json.Decoder(_Outline, dec_hook=scalars.canonical).decode


class Lifecycle:
    """Of one server; ``run`` until cancelled."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._log = service.log
        self._client = Client(InProcessTransport(service, SERVER, "kube-apiserver"), service.scheme)
        self._queue = WorkQueue(service.ids.fraction)
        self._log.tap(DEFINITIONS, lambda change: self._queue.add(change.key.rpartition("/")[2]))

    async def run(self) -> None:
        for entry in list(self._log.scan(DEFINITIONS)):
            self._queue.add(entry.key.rpartition("/")[2])
        while True:
            name = await self._queue.get()
            try:
                await self._step(name)
                self._queue.forget(name)
            except ApiError as error:
                if not isinstance(error, Conflict):
                    log.info("definition %s: %s", name, error)
                self._queue.add_rate_limited(name)
            finally:
                self._queue.done(name)

    async def _step(self, name: str) -> None:
        entry = self._log.get(f"{DEFINITIONS}/{name}")
        if entry is None:
            for other in self._definitions(name.partition(".")[2]):
                if not _is_accepted(other):
                    self._queue.add(other.metadata.name)  # the names of the one that went are free
            return
        outline = _decode(entry.data)
        if not outline.metadata.deletionTimestamp:
            await self._accept(entry, outline)
        elif CLEANUP in outline.metadata.finalizers:
            await self._clean_up(decode(v1.CustomResourceDefinition, entry.data))

    def _definitions(self, group: str) -> list[_Outline]:
        """Of one group."""
        wanted = f".{group}"
        found = [_decode(e.data) for e in self._log.scan(DEFINITIONS) if e.key.endswith(wanted)]
        return [outline for outline in found if outline.spec.group == group]

    async def _accept(self, entry: Entry, outline: _Outline) -> None:
        others = [d for d in self._definitions(outline.spec.group) if d.metadata.name != outline.metadata.name]
        now = self._service.clock.timestamp()
        before = msgspec.json.encode(outline.status)
        _judge(outline, others, now)
        if msgspec.json.encode(outline.status) == before:
            return
        found = decode(v1.CustomResourceDefinition, entry.data)
        _judge(found, others, now)
        await self._client.update(found, subresource="status")
        for other in others:
            if not _is_accepted(other):
                self._queue.add(other.metadata.name)

    async def _clean_up(self, found: v1.CustomResourceDefinition) -> None:
        """Delete the objects; when none is left let the definition go."""
        prefix = f"{found.spec.group}/{found.spec.names.plural}/"
        now = self._service.clock.timestamp()
        if self._log.count(prefix):
            await self._tell(found, "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress", now)
            await self._delete_all(found, prefix)
        if self._log.count(prefix):
            self._queue.add_after(found.metadata.name, LOOK_AGAIN)
            return
        found = await self._client.get(v1.CustomResourceDefinition, found.metadata.name)
        found = await self._tell(found, "False", "InstanceDeletionCompleted", "removed all instances", now)
        found.metadata.finalizers = [f for f in found.metadata.finalizers if f != CLEANUP]
        await self._client.update(found)

    async def _tell(self, found: Any, status: str, reason: str, message: str, now: str) -> Any:
        condition = v1.CustomResourceDefinitionCondition
        if not set_condition(found.status.conditions, "Terminating", status, reason, message, now, cls=condition):
            return found
        return await self._client.update(found, subresource="status")

    async def _delete_all(self, found: v1.CustomResourceDefinition, prefix: str) -> None:
        served = self._service.custom.definition(found.metadata.name)
        if served is None or not served.served:
            for entry in list(self._log.scan(prefix)):  # nobody can reach them any more
                await self._log.write(entry.key, None)
            return
        path = collection(served.served[0].resource, None)
        checked(await self._client.transport.request("DELETE", path))


def _is_accepted(definition: _Outline) -> bool:
    return any(c.type == "NamesAccepted" and c.status == "True" for c in definition.status.conditions or ())


def _judge(found: Any, others: list[_Outline], now: str) -> None:
    found.status.conditions = found.status.conditions or []
    accept_names(found, others, now)
    approve(found, now)


def accept_names(found: Any, others: list[_Outline], now: str) -> None:
    """Fill in acceptedNames and the conditions that tell of them."""
    wanted, had = found.spec.names, found.status.acceptedNames
    taken = [other.status.acceptedNames for other in others]
    resources = {n for t in taken for n in (t.plural, t.singular, *t.shortNames) if n}
    kinds = {n for t in taken for n in (t.kind, t.listKind) if n}
    accepted = type(had)(**{name: getattr(had, name) for name in had.__struct_fields__})
    reason = message = ""
    for attribute, used, conflict in (
        ("plural", resources, "PluralConflict"),
        ("singular", resources, "SingularConflict"),
        ("shortNames", resources, "ShortNamesConflict"),
        ("kind", kinds, "KindConflict"),
        ("listKind", kinds, "ListKindConflict"),
    ):
        names = getattr(wanted, attribute)
        before = getattr(had, attribute)
        each = [names] if isinstance(names, str) else [n for n in names if n not in before]
        clashes = [n for n in each if n != before and n in used]
        if clashes:
            faults = [f"{quote(n)} is already in use" for n in clashes]
            reason, message = conflict, faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        else:
            setattr(accepted, attribute, names)
    accepted.categories = wanted.categories
    found.status.acceptedNames = accepted
    _conditions(found, reason, message, now)


def _conditions(found: Any, reason: str, message: str, now: str) -> None:
    conditions, condition = found.status.conditions, v1.CustomResourceDefinitionCondition
    if reason:
        set_condition(conditions, "NamesAccepted", "False", reason, message, now, cls=condition)
        if not any(c.type == "Established" and c.status == "True" for c in conditions):
            set_condition(conditions, "Established", "False", "NotAccepted", "not all names are accepted", now, cls=condition)
        return
    set_condition(conditions, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now, cls=condition)
    accepted = "the initial names have been accepted"
    set_condition(conditions, "Established", "True", "InitialNamesAccepted", accepted, now, cls=condition)


def approve(found: Any, now: str) -> None:
    """The condition of groups of the community: who allowed them."""
    group = found.spec.group
    if group not in ("k8s.io", "kubernetes.io") and not group.endswith((".k8s.io", ".kubernetes.io")):
        return
    said = found.metadata.annotations.get(APPROVED, "")
    link = urlsplit(said)
    if link.scheme and link.netloc:
        status, reason, message = "True", "ApprovedAnnotation", f"approved in {said}"
    elif said.startswith("unapproved"):
        status, reason, message = "False", "UnapprovedAnnotation", f"not approved: {quote(said)}"
    else:
        status, reason = "False", "MissingAnnotation"
        message = (
            f"protected groups must have approval annotation {quote(APPROVED)}, see https://github.com/kubernetes/enhancements/pull/1111"
        )
    kind = "KubernetesAPIApprovalPolicyConformant"
    set_condition(found.status.conditions, kind, status, reason, message, now, cls=v1.CustomResourceDefinitionCondition)
