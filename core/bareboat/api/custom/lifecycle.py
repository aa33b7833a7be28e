"""The life of a definition beside its writes: names accepted or in conflict, established, its objects removed, gone.

In: changes of definitions. Out: their status, written as the manager ``kube-apiserver``, and the end of the objects of those that
are being deleted. What a name conflicts with are the accepted names of the other definitions of its group.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bareboat.api.custom.kinds import DEFINITIONS
from bareboat.api.inprocess import InProcessTransport
from bareboat.api.kinds.apiextensions.definitions import CLEANUP
from bareboat.client.client import Client, checked, collection
from bareboat.contracts.auth import UserInfo
from bareboat.models import apiextensions_v1 as v1
from bareboat.models.codec import copy, decode
from bareboat.models.meta import set_condition
from bareboat.models.status import ApiError, Conflict, NotFound, quote
from bareboat.reconcile.queue import WorkQueue

if TYPE_CHECKING:
    from bareboat.api.service import Service

log = logging.getLogger("bareboat.custom")
SERVER = UserInfo(name="system:apiserver", groups=("system:masters", "system:authenticated"))
APPROVED = "api-approved.kubernetes.io"
#: Seconds between looks at objects that something holds.
LOOK_AGAIN = 1.0


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
        try:
            found = await self._client.get(v1.CustomResourceDefinition, name)
        except NotFound:
            for other in self._definitions(name.partition(".")[2]):
                if not _is_accepted(other):
                    self._queue.add(other.metadata.name)  # the names of the one that went are free
            return
        if found.metadata.deletionTimestamp:
            if CLEANUP in found.metadata.finalizers:
                await self._clean_up(found)
            return
        await self._accept(found)

    def _definitions(self, group: str) -> list[v1.CustomResourceDefinition]:
        entries = self._log.scan(DEFINITIONS)
        wanted = f".{group}"
        return [decode(v1.CustomResourceDefinition, e.data) for e in entries if e.key.endswith(wanted)]

    async def _accept(self, found: v1.CustomResourceDefinition) -> None:
        group = found.spec.group
        others = [d for d in self._definitions(group) if d.spec.group == group and d.metadata.name != found.metadata.name]
        new = copy(found)
        accept_names(new, others, self._service.clock.timestamp())
        approve(new, self._service.clock.timestamp())
        if new.status == found.status:
            return
        await self._client.update(new, subresource="status")
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


def _is_accepted(definition: v1.CustomResourceDefinition) -> bool:
    return any(c.type == "NamesAccepted" and c.status == "True" for c in definition.status.conditions)


def accept_names(found: v1.CustomResourceDefinition, others: list[v1.CustomResourceDefinition], now: str) -> None:
    """Fill in acceptedNames and the conditions that tell of them."""
    wanted, had = found.spec.names, found.status.acceptedNames
    taken = [other.status.acceptedNames for other in others]
    resources = {n for t in taken for n in (t.plural, t.singular, *t.shortNames) if n}
    kinds = {n for t in taken for n in (t.kind, t.listKind) if n}
    accepted = copy(had)
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


def _conditions(found: v1.CustomResourceDefinition, reason: str, message: str, now: str) -> None:
    conditions, condition = found.status.conditions, v1.CustomResourceDefinitionCondition
    if reason:
        set_condition(conditions, "NamesAccepted", "False", reason, message, now, cls=condition)
        if not any(c.type == "Established" and c.status == "True" for c in conditions):
            set_condition(conditions, "Established", "False", "NotAccepted", "not all names are accepted", now, cls=condition)
        return
    set_condition(conditions, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now, cls=condition)
    accepted = "the initial names have been accepted"
    set_condition(conditions, "Established", "True", "InitialNamesAccepted", accepted, now, cls=condition)


def approve(found: v1.CustomResourceDefinition, now: str) -> None:
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
