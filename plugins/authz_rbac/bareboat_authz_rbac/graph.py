"""What belongs to which node: pods on it, what these refer to, volumes bound to their claims, attachments and slices.

What comes in: changes of pods, PersistentVolumes, VolumeAttachments and ResourceSlices, of each a few fields. What goes out: whether
something belongs to a node, by one look into a dictionary. A change of a pod costs its own references, however many pods there are, and
costs them when somebody asks: a pod that is made, bound and started in between is read once.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Any

from bareboat.contracts.auth import Reader, WideDict
from bareboat.models import core_v1, resource_v1, storage_v1
from bareboat_authz_rbac.views import CLAIM, SECRET, Key, OnNodeView, PodView, VolumeView, references

_NOTHING: dict[Key, Any] = {}
#: Pods that are read at a time; the loop does other things before the next.
AT_ONCE = 50
#: Pods at most that wait for a question; beyond those that were there when the server started.
MOST = 20_000


class _Counted:
    """Keys with how many of a node's pods refer to them."""

    __slots__ = ("by_node",)

    def __init__(self) -> None:
        self.by_node: dict[str, dict[Key, list[Any]]] = {}

    def add(self, node: str, keys: Iterable[Key]) -> tuple[Key, ...]:
        """The keys as they are kept: equal ones of a node are one object."""
        known, kept = self.by_node.setdefault(node, {}), []
        for key in dict.fromkeys(keys):
            entry = known.setdefault(key, [key, 0])
            entry[1] += 1
            kept.append(entry[0])
        return tuple(kept)

    def remove(self, node: str, keys: Iterable[Key]) -> None:
        known = self.by_node[node]
        for key in keys:
            known[key][1] -= 1
            if not known[key][1]:
                del known[key]
        if not known:
            del self.by_node[node]


class Graph:
    """Fed by the reader from its making on. Await ``settled`` before asking."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._used = _Counted()
        self._pods: WideDict[tuple[str, str], tuple[str, tuple[Key, ...]]] = WideDict()
        self._changed: dict[tuple[str, str], None] = {}
        #: how many were there when the server started and wait since
        self._first = sys.maxsize
        self._settling = asyncio.Lock()
        self._volumes: dict[str, tuple[Key | None, list[Key]]] = {}
        self._of_secret: dict[Key, set[str]] = {}
        self._attachments: dict[str, str] = {}
        self._slices: dict[str, str] = {}
        reader.subscribe(core_v1.Pod, self._note_pod)
        self._first = len(self._changed)
        reader.subscribe(core_v1.PersistentVolume, self._volume)
        reader.subscribe(storage_v1.VolumeAttachment, self._attachment)
        reader.subscribe(resource_v1.ResourceSlice, self._slice)

    async def settled(self) -> None:
        """Until all that changed has been read; whoever asks meanwhile waits for who asked first."""
        if not self._changed:
            return
        async with self._settling:
            while self._changed:
                for _ in range(min(AT_ONCE, len(self._changed))):
                    self._read_one()
                if self._changed:
                    await asyncio.sleep(0)
            self._first = 0

    def uses(self, node: str, resource: str, namespace: str, name: str) -> bool:
        """Whether a pod of the node refers to it, or for a secret a volume that such a pod claims."""
        key = (resource, namespace, name)
        if key in self._used.by_node.get(node, _NOTHING):
            return True
        return resource == SECRET and any(self.has_volume(node, volume) for volume in self._of_secret.get(key, ()))

    def has_volume(self, node: str, name: str) -> bool:
        claim, _ = self._volumes.get(name, (None, []))
        return claim is not None and claim in self._used.by_node.get(node, _NOTHING)

    def node_of_pod(self, namespace: str, name: str) -> str:
        """ "" for a pod that is on none or not there."""
        return self._pods.get((namespace, name), ("", ()))[0]

    def has_attachment(self, node: str, name: str) -> bool:
        return self._attachments.get(name) == node

    def has_slice(self, node: str, name: str) -> bool:
        return self._slices.get(name) == node

    def _note_pod(self, namespace: str, name: str) -> None:
        self._changed[sys.intern(namespace), name] = None
        if len(self._changed) > max(MOST, self._first):
            self._read_one()

    def _read_one(self) -> None:
        """The last first: to find the first in a dictionary that has lost many costs a walk."""
        (namespace, name), _ = self._changed.popitem()
        self._pod(namespace, name)

    def _pod(self, namespace: str, name: str) -> None:
        pod = self._reader.view(core_v1.Pod, PodView, name, namespace)
        before = self._pods.pop((namespace, name), None)
        if pod is not None and pod.spec.nodeName:
            node = pod.spec.nodeName
            self._pods[namespace, name] = (node, self._used.add(node, references(pod, namespace, name)))
        if before is not None:
            self._used.remove(*before)

    def _volume(self, _namespace: str, name: str) -> None:
        for secret in self._volumes.pop(name, (None, []))[1]:
            self._of_secret[secret].discard(name)
            if not self._of_secret[secret]:
                del self._of_secret[secret]
        volume = self._reader.view(core_v1.PersistentVolume, VolumeView, name)
        if volume is None or volume.spec.claimRef is None:
            return
        claim = volume.spec.claimRef
        secrets: list[Key] = [(SECRET, space, found) for space, found in volume.spec.secrets(claim.namespace)]
        self._volumes[name] = ((CLAIM, claim.namespace, claim.name), secrets)
        for secret in secrets:
            self._of_secret.setdefault(secret, set()).add(name)

    def _attachment(self, _namespace: str, name: str) -> None:
        _note(self._attachments, name, self._reader.view(storage_v1.VolumeAttachment, OnNodeView, name))

    def _slice(self, _namespace: str, name: str) -> None:
        _note(self._slices, name, self._reader.view(resource_v1.ResourceSlice, OnNodeView, name))


def _note(known: dict[str, str], name: str, found: OnNodeView | None) -> None:
    if found is None or not found.spec.nodeName:
        known.pop(name, None)
    else:
        known[name] = found.spec.nodeName
