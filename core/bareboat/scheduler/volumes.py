"""Where a pod may run by its volumes: bound ones pin it to their nodes, unbound ones need a node where they can be had.

What comes in: the pod's claims as ``Storage`` knows them. What goes out: masks and reasons in upstream's words, and for the chosen
node a ``Plan``: which volume each waiting claim gets, or that one is to be made there. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from bareboat.contracts.scheduling import BoolArray
from bareboat.models import core_v1, storage_v1
from bareboat.models.volume_fit import class_of_claim
from bareboat.scheduler.columns import Columns
from bareboat.scheduler.placed import claims_of
from bareboat.scheduler.storage import SELECTED_NODE, Claim, Storage
from bareboat.scheduler.verdict import FACTS, ROOM, VOLUMES, Verdict

PINNED = "node(s) didn't match PersistentVolume's node affinity"
ZONE = "node(s) had no available volume zone"
NONE_FREE = "node(s) didn't find available persistent volumes to bind"
NO_VOLUME = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
LIMIT = "node(s) exceed max volume count"
EXCLUSIVE = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
ZONE_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
NO_PROVISIONER = "kubernetes.io/no-provisioner"


class Plan(msgspec.Struct, frozen=True):
    """For every claim that waits: the volume it gets, or None for one that is to be made for the node."""

    node: str
    claims: Mapping[str, core_v1.PersistentVolume | None]


class NoVolumes:
    """A pod without claims: nothing to ask."""

    def required(self) -> bool:
        return False

    def narrow(self, verdict: Verdict) -> None:
        del verdict

    def plan(self, node: str) -> Plan:
        return Plan(node, {})


class PodVolumes(NoVolumes):
    """The claims of one pod, sorted into bound and waiting ones."""

    def __init__(self, pod: core_v1.Pod, columns: Columns, storage: Storage) -> None:
        self._columns = columns
        self._storage = storage
        self._refusal = ""
        self._bound: list[core_v1.PersistentVolume] = []
        self._lost = False
        self._waiting: list[Claim] = []
        self._exclusive: list[str] = []
        self._drivers: dict[str, set[str]] = {}
        for key in claims_of(pod):
            self._sort(key)

    def required(self) -> bool:
        return True

    def narrow(self, verdict: Verdict) -> None:
        if self._refusal:
            verdict.refuse(self._refusal, VOLUMES)
            return
        everywhere = np.ones(len(self._columns), dtype=bool)
        if any(self._columns.claims[key] for key in self._exclusive):
            verdict.narrow(~everywhere, EXCLUSIVE, ROOM)
        verdict.narrow(self._within_limits(), LIMIT, ROOM)
        if self._lost:
            verdict.narrow(~everywhere, NO_VOLUME, VOLUMES, hopeless=True)
        for volume in self._bound:
            verdict.narrow(self._storage.reach(volume, self._columns), PINNED, VOLUMES, hopeless=True)
        if self._waiting:
            verdict.narrow(self._available(verdict.fits), NONE_FREE, VOLUMES, hopeless=True)
        for volume in self._bound:
            verdict.narrow(self._in_zone(volume), ZONE, FACTS, hopeless=True)

    def plan(self, node: str) -> Plan:
        found = self._choice(self._columns.index[node])
        return Plan(node, found or {})

    def _sort(self, key: str) -> None:
        claim = self._storage.claim(key)
        name = key.partition("/")[2]
        if claim is None:
            self._refusal = self._refusal or f'persistentvolumeclaim "{name}" not found'
        elif claim.metadata.deletionTimestamp:
            self._refusal = self._refusal or f'persistentvolumeclaim "{name}" is being deleted'
        elif claim.status.phase == "Lost":
            volume = claim.spec.volumeName
            self._refusal = self._refusal or f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
        else:
            self._sort_live(key, claim)

    def _sort_live(self, key: str, claim: Claim) -> None:
        if "ReadWriteOncePod" in claim.spec.accessModes:
            self._exclusive.append(key)
        if self._storage.is_bound(claim):
            volume = self._storage.volume(claim.spec.volumeName)
            self._lost = self._lost or volume is None
            if volume is not None:
                self._bound.append(volume)
        elif self._storage.waits(claim):
            self._waiting.append(claim)
        else:
            self._refusal = self._refusal or UNBOUND
        if driver := self._storage.driver_of(claim):
            self._drivers.setdefault(driver, set()).add(self._storage.handle_of(claim))

    def _within_limits(self) -> BoolArray:
        within = np.ones(len(self._columns), dtype=bool)
        for driver, wanted in self._drivers.items():
            for node, most in self._storage.limits(driver).items():
                i = self._columns.index.get(node)
                if i is not None:
                    claims = [self._storage.claim(key) for pod in self._columns.pods[i].values() for key in pod.claims]
                    there = {self._storage.handle_of(c) for c in claims if c is not None and self._storage.driver_of(c) == driver}
                    within[i] = not (wanted - there) or len(there | wanted) <= most
        return within

    def _available(self, fits: BoolArray) -> BoolArray:
        """Nodes where every waiting claim can have a volume of its own."""
        if len(self._waiting) == 1:
            return self._can_have(self._waiting[0])
        possible = fits.copy()
        for claim in self._waiting:
            possible &= self._can_have(claim)
        for i in np.flatnonzero(possible):
            possible[i] = self._choice(int(i)) is not None
        return possible

    def _can_have(self, claim: Claim) -> BoolArray:
        chosen = claim.metadata.annotations.get(SELECTED_NODE)
        if chosen:
            return np.array([name == chosen for name in self._columns.names], dtype=bool)
        there = self._provisioned(claim)
        for volume in self._storage.free_for(claim):
            there = there | self._storage.reach(volume, self._columns)
        return there

    def _provisioned(self, claim: Claim) -> BoolArray:
        """Nodes for which a new volume can be made."""
        found = self._storage.storage_class(class_of_claim(claim))
        if found is None or found.provisioner == NO_PROVISIONER:
            return np.zeros(len(self._columns), dtype=bool)
        return allowed(found, self._columns)

    def _choice(self, i: int) -> dict[str, core_v1.PersistentVolume | None] | None:
        """A volume for each waiting claim on that node, the smallest that will do; None if one finds none."""
        taken: set[str] = set()
        chosen: dict[str, core_v1.PersistentVolume | None] = {}
        for claim in self._waiting:
            key = f"{claim.metadata.namespace}/{claim.metadata.name}"
            near = (v for v in self._storage.free_for(claim) if v.metadata.name not in taken and self._storage.reach(v, self._columns)[i])
            volume = None if claim.metadata.annotations.get(SELECTED_NODE) else next(near, None)
            if volume is None and not (claim.metadata.annotations.get(SELECTED_NODE) or self._provisioned(claim)[i]):
                return None
            chosen[key] = volume
            if volume is not None:
                taken.add(volume.metadata.name)
        return chosen

    def _in_zone(self, volume: core_v1.PersistentVolume) -> BoolArray:
        """A volume that names zones is there only; a node without zones may be anywhere."""
        within = np.ones(len(self._columns), dtype=bool)
        zoned = [self._columns.domains(label).present for label in ZONE_LABELS]
        for label in ZONE_LABELS:
            if value := volume.metadata.labels.get(label):
                zones = set(value.split("__"))
                within &= self._columns.domains(label).where(lambda at, zones=zones: at in zones) | ~(zoned[0] | zoned[1])  # type: ignore[misc]
        return within


def allowed(found: storage_v1.StorageClass, columns: Columns) -> BoolArray:
    """Nodes in any of the class's allowed topologies."""
    if not found.allowedTopologies:
        return np.ones(len(columns), dtype=bool)
    within = np.zeros(len(columns), dtype=bool)
    for term in found.allowedTopologies:
        meant = np.ones(len(columns), dtype=bool)
        for wanted in term.matchLabelExpressions:
            values = set(wanted.values)
            meant &= columns.domains(wanted.key).where(lambda at, values=values: at in values)  # type: ignore[misc]
        within |= meant
    return within
