"""The custom kinds that are served now: follows the definitions in the log and keeps the scheme.

A definition is served from when its names are accepted and it is established until it is gone. When its spec changes the kind is
made anew and watches of the old one end, so that clients see the new form.
"""

from __future__ import annotations

import logging
import weakref
from typing import Any

import msgspec

from bareboat.api.custom import rows
from bareboat.api.custom.conversion import Converter
from bareboat.api.custom.definition import Definition, Names, Version
from bareboat.api.custom.reading import duplicates, parsed, read_body, typed
from bareboat.api.custom.strategy import CustomStrategy
from bareboat.api.kinds.causes import invalid
from bareboat.api.operation import Operation
from bareboat.base.ids import Ids
from bareboat.models.custom import CustomObject, decode, to_tree
from bareboat.models.scheme import Resource, Scheme, priority
from bareboat.models.status import Invalid, MethodNotAllowed, NotFound
from bareboat.store.broadcast import Subscription
from bareboat.store.entry import Change, Entry
from bareboat.store.log import Log

log = logging.getLogger("bareboat.custom")
DEFINITIONS = "apiextensions.k8s.io/customresourcedefinitions/"


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct):
    conditions: list[_Condition] | None = None
    acceptedNames: Names = msgspec.field(default_factory=Names)


class _Metadata(msgspec.Struct):
    name: str
    deletionTimestamp: str | None = None


class _Stored(msgspec.Struct):
    """What is read of a stored definition before anything else of it is needed."""

    metadata: _Metadata
    spec: msgspec.Raw
    status: _Status = msgspec.field(default_factory=_Status)


_decode = msgspec.json.Decoder(_Stored).decode


class CustomKind:
    """One served version of one definition: what ``Operation.custom`` is."""

    def __init__(self, version: Version, converter: Converter) -> None:
        self.version = version
        self.strategy = CustomStrategy(version)
        self.terminating = False
        #: the definition changed or went: whoever still uses this kind should look again
        self.closed = False
        self._converter = converter
        self._watches: weakref.WeakSet[Subscription] = weakref.WeakSet()

    async def seen(self, entries: list[Entry]) -> list[Entry]:
        """See Operation.seen."""
        return await rows.seen(self.version, self._converter, entries)

    async def load(self, entry: Entry) -> CustomObject:
        [found] = await self.seen([entry])
        return decode(found.data)

    async def row(self, obj: CustomObject) -> bytes:
        """What is stored of an object."""
        return await rows.row(self.version, self._converter, obj)

    def read(self, op: Operation) -> CustomObject:
        """The request's body. Raises ApiError."""
        if self.terminating and op.info.verb == "create":
            raise MethodNotAllowed("create not allowed while custom resource definition is terminating", details=op.details())
        obj = read_body(op, self.version)
        self.strategy.default(obj)
        return obj

    def patched(self, op: Operation, old: CustomObject, media: str, document: Any) -> CustomObject:
        """The patched object. ``old`` is not changed. Raises Invalid."""
        from bareboat.api.verbs.patch import apply_document
        from bareboat.api.writing import check_name

        data = msgspec.json.encode(apply_document(op, CustomObject, _copied(old), media, document))
        obj, complaints = typed(parsed(data, self.version), self.version)
        complaints = [*duplicates(op.request.body), *complaints]
        if complaints and op.field_validation == "Strict":
            raise Invalid("", "", [invalid("patch", data.decode(), f"strict decoding error: {', '.join(complaints)}")])
        if op.field_validation == "Warn":
            op.warnings.extend(complaint for complaint in complaints if complaint not in op.warnings)
        check_name(op, obj)
        self.strategy.default(obj)
        return obj

    def applied(self, tree: dict[str, Any]) -> CustomObject:
        """The object that an apply made."""
        obj, _ = typed(msgspec.json.decode(msgspec.json.encode(tree)), self.version)
        self.strategy.default(obj)
        return obj

    def watched(self, subscription: Subscription) -> None:
        """To be woken when this kind closes."""
        self._watches.add(subscription)

    def close(self) -> None:
        self.closed = True
        for subscription in list(self._watches):
            subscription.wake()


def _copied(obj: CustomObject) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(to_tree(obj)))
    return tree


class CustomKinds:
    """Of one server. ``load`` once the log has started; afterwards it follows by itself."""

    def __init__(self, store_log: Log, scheme: Scheme, ids: Ids) -> None:
        self._log = store_log
        self._scheme = scheme
        self.converter = Converter(ids)
        self._kinds: dict[tuple[str, str, str], CustomKind] = {}
        self._of: dict[str, Definition] = {}
        store_log.tap(DEFINITIONS, self._changed)

    def load(self) -> None:
        """Serve what is in the store."""
        for entry in list(self._log.scan(DEFINITIONS)):
            self._put(entry.data)
        self._scheme.announce()

    def kind(self, resource: Resource) -> CustomKind:
        """Raises NotFound for one that went meanwhile."""
        found = self._kinds.get((resource.group, resource.version, resource.plural))
        if found is None:
            raise NotFound("the server could not find the requested resource", details={})
        return found

    def definition(self, name: str) -> Definition | None:
        """By ``plural.group``, if it is served."""
        return self._of.get(name)

    def _changed(self, change: Change) -> None:
        name = change.key.rpartition("/")[2]
        before = self._of.get(name)
        if change.deleted:
            self._remove(name)
        else:
            self._put(change.entry.data)
        if self._of.get(name) is not before:
            self._scheme.announce()

    def _put(self, data: bytes) -> None:
        try:
            self._serve(_decode(data))
        except (msgspec.MsgspecError, StopIteration):  # written by another release: it must not stop the log
            log.exception("a definition cannot be served: %.200s", data.decode("utf-8", "replace"))

    def _serve(self, found: _Stored) -> None:
        name, status = found.metadata.name, found.status
        if not any(c.type == "Established" and c.status == "True" for c in status.conditions or ()):
            self._remove(name)
            return
        known = self._of.get(name)
        if known is None or bytes(known.raw) != bytes(found.spec) or known.names != status.acceptedNames:
            self._replace(name, Definition(name, found.spec, status.acceptedNames))
        for version in self._of[name].served:
            kind = self._kinds[version.definition.group, version.name, version.definition.plural]
            kind.terminating = found.metadata.deletionTimestamp is not None

    def _replace(self, name: str, definition: Definition) -> None:
        """The stored version comes first: who takes any version gets the one that needs no conversion."""
        self._remove(name)
        self._of[name] = definition
        for version in sorted(definition.served, key=lambda v: (v.spec.storage, priority(v.name)), reverse=True):
            self._kinds[definition.group, version.name, definition.plural] = CustomKind(version, self.converter)
            self._scheme.add(version.resource)

    def _remove(self, name: str) -> None:
        known = self._of.pop(name, None)
        if known is None:
            return
        for version in known.served:
            self._kinds.pop((known.group, version.name, known.plural)).close()
            self._scheme.remove(version.resource)
