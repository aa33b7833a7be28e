"""Which kinds are served, under which names, with which verbs.

In: the table of built-in resources, and whatever plugins and custom resources add at run time. Out: `Resource` by path, kind or type.
What a verb does to a resource is the api package's business.
"""

from __future__ import annotations

import builtins
import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import msgspec

from bareboat.models import definitions
from bareboat.models.schema import key_of

ALL_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
STORED_AS: Final = {("events.k8s.io", "events"): ("", "events")}
MACHINERY: Final = frozenset({"DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "Status", "WatchEvent"})


@dataclass(frozen=True, slots=True)
class Subresource:
    """`kind`, `group` and `version` are those of the object that the subresource takes and gives."""

    name: str
    kind: str
    group: str
    version: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resource:
    """One served resource in one version."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    verbs: tuple[str, ...] = ALL_VERBS
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: dict[str, Subresource] = field(default_factory=dict, hash=False)
    list_kind: str = ""
    type_key: str = ""  # core_v1.Pod; empty for custom resources
    custom: bool = False  # defined by a CustomResourceDefinition
    #: `apps/v1`, `v1`
    api_version: str = field(init=False, repr=False, compare=False)
    #: the first two parts of a storage key
    key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Every request asks for these, so they are made once."""
        object.__setattr__(self, "api_version", f"{self.group}/{self.version}" if self.group else self.version)
        object.__setattr__(self, "key", f"{self.group or 'core'}/{self.plural}")

    @property
    def path_prefix(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def group_resource(self) -> str:
        """As messages name it: `deployments.apps`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def type(self) -> builtins.type[msgspec.Struct] | None:
        """The class of its objects; None for custom resources, whose objects are models.custom.CustomObject."""
        return load_type(self.type_key) if self.type_key else None


class Scheme:
    """The resources that are served now."""

    def __init__(self, resources: Iterator[Resource] | list[Resource] | None = None) -> None:
        self._by_path: dict[tuple[str, str, str], Resource] = {}
        self._by_kind: dict[tuple[str, str], Resource] = {}
        self._by_type: dict[str, Resource] = {}
        self._keys: dict[type, str] = {}
        #: how often resources came or went
        self.generation = 0
        self._stored: dict[tuple[str, str], Resource] = {}
        self._listeners: list[Callable[[], None]] = []
        for resource in resources or ():
            self.add(resource)

    @classmethod
    def builtin(cls) -> Scheme:
        """A fresh scheme of the built-in resources."""
        return cls(_parse(line) for line in definitions.resources())

    def resource(self, group: str, version: str, plural: str) -> Resource | None:
        return self._by_path.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        return self._by_kind.get((api_version, kind))

    def by_type(self, cls: type) -> Resource:
        """Raises KeyError for a type that is no resource."""
        return self._by_type[key_of(cls)]

    def key_of(self, cls: type) -> str:
        """The first two parts of the storage keys of a type's objects. Raises KeyError for a type that is no resource."""
        found = self._keys.get(cls)
        if found is None:
            resource = self.by_type(cls)
            found = self._keys[cls] = self.storage(resource.group, resource.plural).key
        return found

    def resources(self) -> list[Resource]:
        """In the order of discovery."""
        return list(self._by_path.values())

    def versions(self, group: str, plural: str) -> list[Resource]:
        """The preferred version first."""
        return [found for (owner, _, name), found in self._by_path.items() if owner == group and name == plural]

    def storage(self, group: str, plural: str) -> Resource:
        """The resource under whose key and in whose version objects are stored. Raises KeyError."""
        found = self._stored.get((group, plural))
        if found is None:
            versions = self.versions(*STORED_AS.get((group, plural), (group, plural)))
            if not versions:
                raise KeyError(f"{plural}.{group}" if group else plural)
            found = self._stored[group, plural] = versions[0]
        return found

    def add(self, resource: Resource) -> None:
        """Adds or replaces."""
        self._changed()
        self._by_path[resource.group, resource.version, resource.plural] = resource
        self._by_kind[resource.api_version, resource.kind] = resource
        if resource.type_key:
            self._by_type[resource.type_key] = resource

    def _changed(self) -> None:
        self._stored.clear()
        self._keys.clear()
        self.generation += 1

    def subscribe(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` after resources came or went at run time."""
        self._listeners.append(changed)

    def announce(self) -> None:
        """Tell those who subscribed; whoever adds or removes several resources says so once."""
        for changed in self._listeners:
            changed()

    def remove(self, resource: Resource) -> None:
        """Removing what is not there is no error."""
        self._changed()
        self._by_path.pop((resource.group, resource.version, resource.plural), None)
        if self._by_kind.get((resource.api_version, resource.kind)) == resource:
            del self._by_kind[resource.api_version, resource.kind]
        if self._by_type.get(resource.type_key) == resource:
            del self._by_type[resource.type_key]


def priority(version: str) -> tuple[int, int, int, str]:
    """The order of versions, the preferred one greatest: v10, v2, v1, v11beta2, v10beta3, v3beta1, v12alpha1, foo1 …"""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if found is None:
        return 0, 0, 0, "".join(chr(0x10FFFF - ord(c)) for c in version)
    major, stage, minor = int(found[1]), found[2], int(found[3] or 0)
    return {None: 3, "beta": 2, "alpha": 1}[stage], major, minor, ""


def type_of(api_version: str, kind: str) -> type[msgspec.Struct] | None:
    """The class of any built-in kind, also of those that are no resource, such as DeleteOptions or Scale."""
    if kind in MACHINERY:
        return load_type(f"meta_v1.{kind}")
    group, _, version = api_version.rpartition("/")
    module = module_of(group, version)
    if module not in definitions.modules():
        return None
    found = getattr(importlib.import_module(f"bareboat.models.{module}"), kind, None)
    own = found is not None and "kind" in found.__struct_fields__ and found().kind == kind and found().apiVersion == api_version
    return found if own else None


def module_of(group: str, version: str) -> str:
    """`rbac_v1` for rbac.authorization.k8s.io and v1."""
    return f"{group.partition('.')[0] or 'core'}_{version}"


@cache
def load_type(key: str) -> type[msgspec.Struct]:
    module, _, name = key.partition(".")
    found: type[msgspec.Struct] = getattr(importlib.import_module(f"bareboat.models.{module}"), name)
    return found


def _parse(line: str) -> Resource:
    api_version, plural, kind, scope, verbs, *rest = line.split()
    group, _, version = api_version.rpartition("/")
    options = dict(item.split("=", 1) for item in rest if not item.startswith("/"))
    subresources = [_subresource(item, group, version) for item in rest if item.startswith("/")]
    return Resource(
        group=group,
        version=version,
        kind=kind,
        plural=plural,
        singular=kind.lower(),
        namespaced=scope == "namespaced",
        verbs=ALL_VERBS if verbs == "*" else tuple(verbs.split(",")),
        short_names=_words(options.get("short", "")),
        categories=_words(options.get("categories", "")),
        subresources={sub.name: sub for sub in subresources},
        list_kind=f"{kind}List",
        type_key=f"{module_of(group, version)}.{kind}",
    )


def _subresource(item: str, group: str, version: str) -> Subresource:
    name, _, what = item[1:].partition("=")
    kind_path, _, verbs = what.partition(":")
    *api_version, kind = kind_path.split("/")
    if api_version:
        group, version = api_version
    return Subresource(name, kind, group, version, tuple(verbs.split(",")))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()
