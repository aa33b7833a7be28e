"""Deployment: ReplicaSets by template hash, rolling update within maxSurge and maxUnavailable, revisions, progress."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from bareboat.controllers.pods import owner_uid
from bareboat.controllers.rollout import Rollout, desired_annotations, resolve_bounds, revision_of, size_annotations
from bareboat.models import apps_v1, core_v1, meta_v1
from bareboat.models.codec import copy, encode, to_tree
from bareboat.models.meta import controller_of, get_condition, key, owner_reference, set_condition
from bareboat.models.selectors import from_label_selector
from bareboat.models.status import AlreadyExists, NotFound
from bareboat.models.times import parse
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.facts import PodFacts
from bareboat.reconcile.informer import InformerFactory

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Any, collisions: int) -> str:
    """Stable name of a template: ten characters."""
    bare = copy(template)
    bare.metadata.labels = {k: v for k, v in bare.metadata.labels.items() if k != HASH}
    digest = hashlib.sha256(encode(bare) + str(collisions).encode()).digest()
    return "".join(_ALPHABET[b % len(_ALPHABET)] for b in digest[:10])


class DeploymentController(Controller):
    name = "deployment-controller"
    workers = 4

    def setup(self, informers: InformerFactory) -> None:
        self._deployments = self.watch(informers.of(apps_v1.Deployment))
        self._sets = informers.of(apps_v1.ReplicaSet)
        self._sets.add_index("owner", owner_uid)
        self._sets.add_index("orphan", _orphan)
        self.watch(self._sets, self._owner)
        self._pods = informers.of(core_v1.Pod)
        self._pods.add_index("owner", owner_uid, PodFacts)
        self._resource = self.client.scheme.by_type(apps_v1.Deployment)

    def _owner(self, _key: str, replica_set: apps_v1.ReplicaSet) -> Iterable[str]:
        owner = controller_of(replica_set.metadata)
        if owner is not None:
            return [f"{replica_set.metadata.namespace}/{owner.name}"] if owner.kind == "Deployment" else []
        labels = replica_set.metadata.labels
        found = self._deployments.list(replica_set.metadata.namespace)
        return [key(d) for d in found if from_label_selector(d.spec.selector).matches(labels)]

    async def reconcile(self, key: str) -> float | None:
        deployment = self._deployments.get(key)
        if deployment is None or deployment.metadata.deletionTimestamp:
            return None
        sets = await self._claim(deployment)
        new, old = await self._split(deployment, sets)
        rollout = Rollout(self.client, deployment, new, old, self.events, self._pods_of)
        recreates = deployment.spec.strategy.type == "Recreate"
        if self._needs_scaling(deployment, sets) and (deployment.spec.paused or not recreates):
            await rollout.resize()
        elif recreates and not deployment.spec.paused:
            new = await self._recreate(deployment, new, old, rollout)
        elif not deployment.spec.paused:
            if new is None:
                new = await self._create(deployment, old)
                rollout.new = new
            await rollout.step()
        await self._clean_up(deployment, new, old)
        return await self._write_status(deployment, new, old)

    def _needs_scaling(self, deployment: apps_v1.Deployment, sets: list[apps_v1.ReplicaSet]) -> bool:
        wanted = str(deployment.spec.replicas)
        return any(
            (s.spec.replicas or 0) > 0 and s.metadata.annotations.get("deployment.kubernetes.io/desired-replicas") != wanted for s in sets
        )

    def _pods_of(self, replica_set: apps_v1.ReplicaSet) -> list[core_v1.Pod]:
        keys = self._pods.by_index("owner", replica_set.metadata.uid)
        return [p for k in keys if (p := self._pods.get(k)) is not None]

    async def _claim(self, deployment: apps_v1.Deployment) -> list[apps_v1.ReplicaSet]:
        keys = self._sets.by_index("owner", deployment.metadata.uid)
        mine = [s for k in keys if (s := self._sets.get(k)) is not None]
        selector = from_label_selector(deployment.spec.selector)
        for k in self._sets.by_index("orphan", deployment.metadata.namespace):
            candidate = self._sets.get(k)
            if candidate is not None and not candidate.metadata.deletionTimestamp and selector.matches(candidate.metadata.labels):
                candidate.metadata.ownerReferences.append(owner_reference(deployment, self._resource))
                mine.append(await self.client.update(candidate))
        return mine

    async def _split(
        self, deployment: apps_v1.Deployment, sets: list[apps_v1.ReplicaSet]
    ) -> tuple[apps_v1.ReplicaSet | None, list[apps_v1.ReplicaSet]]:
        """The set of the present template, brought up to date, and the others."""
        matching = sorted((s for s in sets if _same_template(s, deployment)), key=lambda s: s.metadata.creationTimestamp or "")
        new = matching[0] if matching else None
        old = [s for s in sets if new is None or s.metadata.uid != new.metadata.uid]
        if new is not None:
            revision = max([revision_of(s) for s in old], default=0) + 1
            changed = desired_annotations(deployment, new, max(revision, revision_of(new)))
            if changed or new.spec.minReadySeconds != deployment.spec.minReadySeconds:
                new.metadata.annotations = {**new.metadata.annotations, **changed}
                new.spec.minReadySeconds = deployment.spec.minReadySeconds
                new = await self.client.update(new)
            await self._note_revision(deployment, revision_of(new))
        return new, old

    async def _note_revision(self, deployment: apps_v1.Deployment, revision: int) -> None:
        if deployment.metadata.annotations.get(REVISION) != str(revision):
            patch = {"metadata": {"annotations": {REVISION: str(revision)}}}
            await self.client.patch(apps_v1.Deployment, deployment.metadata.name, patch, deployment.metadata.namespace)

    async def _create(self, deployment: apps_v1.Deployment, old: list[apps_v1.ReplicaSet]) -> apps_v1.ReplicaSet:
        """The ReplicaSet of a template that had none; 0 replicas if the surge allows no more."""
        name_hash = template_hash(deployment.spec.template, deployment.status.collisionCount or 0)
        template = copy(deployment.spec.template)
        template.metadata.labels = {**template.metadata.labels, HASH: name_hash}
        selector = copy(deployment.spec.selector or meta_v1.LabelSelector())
        selector.matchLabels = {**selector.matchLabels, HASH: name_hash}
        revision = max([revision_of(s) for s in old], default=0) + 1
        made = apps_v1.ReplicaSet(
            metadata=meta_v1.ObjectMeta(
                name=f"{deployment.metadata.name}-{name_hash}",
                namespace=deployment.metadata.namespace,
                labels=dict(template.metadata.labels),
                ownerReferences=[owner_reference(deployment, self._resource)],
            ),
            spec=apps_v1.ReplicaSetSpec(
                replicas=self._first_replicas(deployment, old),
                minReadySeconds=deployment.spec.minReadySeconds,
                selector=selector,
                template=template,
            ),
        )
        made.metadata.annotations = {**desired_annotations(deployment, made, revision), **size_annotations(deployment)}
        try:
            made = await self.client.create(made)
        except AlreadyExists:
            await self._note_collision(deployment, made)
            raise
        self.events.event(
            deployment, "Normal", "ScalingReplicaSet", f"Scaled up replica set {made.metadata.name} from 0 to {made.spec.replicas}"
        )
        await self._note_revision(deployment, revision)
        return made

    async def _note_collision(self, deployment: apps_v1.Deployment, wanted: apps_v1.ReplicaSet) -> None:
        """A set of that name which is not this one: the next try gets another hash. One that is, the informer will show."""
        found = await self.client.get(apps_v1.ReplicaSet, wanted.metadata.name, wanted.metadata.namespace)
        if deployment.metadata.uid in owner_uid(found) and _same_template(found, deployment):
            return
        status = {"status": {"collisionCount": (deployment.status.collisionCount or 0) + 1}}
        meta = deployment.metadata
        await self.client.patch(apps_v1.Deployment, meta.name, status, meta.namespace, subresource="status")

    def _first_replicas(self, deployment: apps_v1.Deployment, old: list[apps_v1.ReplicaSet]) -> int:
        wanted = deployment.spec.replicas or 0
        if deployment.spec.strategy.type == "Recreate":
            return wanted
        surge, _ = resolve_bounds(deployment)
        room = wanted + surge - sum(s.spec.replicas or 0 for s in old)
        return max(0, min(room, wanted))

    async def _recreate(
        self, deployment: apps_v1.Deployment, new: apps_v1.ReplicaSet | None, old: list[apps_v1.ReplicaSet], rollout: Rollout
    ) -> apps_v1.ReplicaSet | None:
        for replica_set in old:
            await rollout.scale(replica_set, 0)
        if any(p.status.phase not in ("Succeeded", "Failed") for s in old for p in self._pods_of(s)):
            return new
        if new is None:
            return await self._create(deployment, old)
        await rollout.scale(new, deployment.spec.replicas or 0)
        return new

    async def _clean_up(self, deployment: apps_v1.Deployment, new: Any, old: list[apps_v1.ReplicaSet]) -> None:
        """Delete empty old sets beyond the history limit, once the rollout is complete."""
        limit = deployment.spec.revisionHistoryLimit
        if limit is None or new is None or new.status.availableReplicas < (deployment.spec.replicas or 0):
            return
        empty = [s for s in old if not s.spec.replicas and not s.status.replicas and not s.metadata.deletionTimestamp]
        for replica_set in sorted(empty, key=revision_of)[: max(0, len(empty) - limit)]:
            try:
                await self.client.delete(apps_v1.ReplicaSet, replica_set.metadata.name, replica_set.metadata.namespace)
            except NotFound:
                continue

    async def _write_status(self, deployment: apps_v1.Deployment, new: Any, old: list[apps_v1.ReplicaSet]) -> float | None:
        sets = [*old, *([new] if new is not None else [])]
        status = copy(deployment.status)
        status.observedGeneration = deployment.metadata.generation
        status.replicas = sum(s.status.replicas for s in sets)
        status.updatedReplicas = new.status.replicas if new is not None else 0
        status.readyReplicas = sum(s.status.readyReplicas for s in sets)
        status.availableReplicas = sum(s.status.availableReplicas for s in sets)
        wanted = deployment.spec.replicas or 0
        status.unavailableReplicas = max(0, wanted - status.availableReplicas)
        again = self._conditions(deployment, status, new, sets)
        if status != deployment.status:
            await self.client.patch(
                apps_v1.Deployment,
                deployment.metadata.name,
                {"status": {**_zeros(), **to_tree(status)}},
                deployment.metadata.namespace,
                subresource="status",
            )
        return again

    def _conditions(self, deployment: Any, status: Any, new: Any, sets: list[apps_v1.ReplicaSet]) -> float | None:
        now = self.clock.timestamp()
        _, unavailable = resolve_bounds(deployment)
        wanted = deployment.spec.replicas or 0
        enough = status.availableReplicas >= wanted - unavailable
        reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
        message = "Deployment has minimum availability." if enough else "Deployment does not have minimum availability."
        self._set(status, "Available", "True" if enough else "False", reason, message, now)
        if deployment.spec.progressDeadlineSeconds is None or deployment.spec.progressDeadlineSeconds >= 2**31 - 1:
            return None
        return self._progress(deployment, status, new, sets, now)

    def _progress(self, deployment: Any, status: Any, new: Any, sets: list[Any], now: str) -> float | None:
        wanted = deployment.spec.replicas or 0
        name = new.metadata.name if new is not None else ""
        known = get_condition(status.conditions, "Progressing")
        complete = status.updatedReplicas == wanted == status.replicas == status.availableReplicas
        if deployment.spec.paused:
            self._set(status, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now)
            return None
        if complete and new is not None:
            self._set(status, "Progressing", "True", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.', now)
            return None
        was = deployment.status
        moved = (
            status.updatedReplicas > was.updatedReplicas
            or status.readyReplicas > was.readyReplicas
            or status.availableReplicas > was.availableReplicas
            or (status.replicas - status.updatedReplicas) < (was.replicas - was.updatedReplicas)
        )
        if moved or known is None or known.reason in ("DeploymentPaused", "NewReplicaSetAvailable"):
            self._set(status, "Progressing", "True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.', now, touch=True)
            return float(deployment.spec.progressDeadlineSeconds) + 1.0
        since = parse(known.lastUpdateTime or now)
        left = deployment.spec.progressDeadlineSeconds - (self.clock.now() - since).total_seconds()
        if left > 0:
            return float(left) + 1.0
        self._set(status, "Progressing", "False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.', now)
        return None

    def _set(self, status: Any, kind: str, value: str, reason: str, message: str, now: str, *, touch: bool = False) -> None:
        known = get_condition(status.conditions, kind)
        changed = known is None or (known.status, known.reason, known.message) != (value, reason, message)
        set_condition(status.conditions, kind, value, reason, message, now, cls=apps_v1.DeploymentCondition)
        if changed or touch:
            condition = get_condition(status.conditions, kind)
            assert condition is not None
            condition.lastUpdateTime = now


def _orphan(replica_set: Any) -> Iterable[str]:
    return () if controller_of(replica_set.metadata) is not None else (replica_set.metadata.namespace,)


def _same_template(replica_set: apps_v1.ReplicaSet, deployment: apps_v1.Deployment) -> bool:
    have = copy(replica_set.spec.template)
    have.metadata.labels = {k: v for k, v in have.metadata.labels.items() if k != HASH}
    want = copy(deployment.spec.template)
    want.metadata.labels = {k: v for k, v in want.metadata.labels.items() if k != HASH}
    return have == want


def _zeros() -> dict[str, Any]:
    """Counts that became 0 are absent from the encoded status: a merge patch has to take them away."""
    names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")
    return dict.fromkeys(names)
