"""The Node object: registered, its status kept, its Lease renewed."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

import bareboat
from bareboat.base.clock import Clock
from bareboat.client.client import Client
from bareboat.contracts.cni import NetworkDriver
from bareboat.contracts.cri import RuntimeDriver
from bareboat.contracts.driver import Health
from bareboat.contracts.errors import DriverError
from bareboat.models import coordination_v1, core_v1, meta_v1
from bareboat.models.bareboat_v1 import ANNOTATION
from bareboat.models.codec import copy, to_tree
from bareboat.models.meta import set_condition
from bareboat.models.status import AlreadyExists, ApiError, Conflict, NotFound
from bareboat.node.config import NodeConfig
from bareboat.node.status_patch import difference

log = logging.getLogger("bareboat.node")
LEASES = "kube-node-lease"
VERSION = "v1.36.0"
#: Seconds between looks at the drivers, and between writes of an unchanged status.
LOOK_EVERY, WRITE_EVERY = 5.0, 300.0
#: Images in a Node's status at most: upstream's nodeStatusMaxImages.
MAX_IMAGES = 50


class Registration:
    """One node's."""

    def __init__(
        self, config: NodeConfig, client: Client, runtime: RuntimeDriver, network: NetworkDriver | None, clock: Clock, runtime_version: str
    ) -> None:
        self._config = config
        self._client = client
        self._runtime = runtime
        self._network = network
        self._clock = clock
        self.runtime_version = runtime_version
        self._written = -WRITE_EVERY
        self.memory_is_short: Callable[[], bool] = lambda: False
        #: Whether NetworkPolicies are enforced, where a driver does so.
        self.policies: Callable[[], Health] | None = None
        #: The Node as it was seen last, where somebody watches it.
        self.known: Callable[[], core_v1.Node | None] = lambda: None
        #: Attached volumes that are mounted: not to be detached now.
        self.volumes_in_use: Callable[[], list[str]] = list
        self._lease: coordination_v1.Lease | None = None
        #: The Node: the Lease goes with it.
        self._owners: list[meta_v1.OwnerReference] = []

    @property
    def capacity(self) -> dict[str, str]:
        memory = self._config.memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        disk = os.statvfs("/")
        return {
            "cpu": str(self._config.cpu),
            "memory": f"{memory // 1024}Ki",
            "pods": str(self._config.max_pods),
            "ephemeral-storage": f"{disk.f_blocks * disk.f_frsize // 1024}Ki",
        }

    async def register(self) -> None:
        """Create the Node, or take over the one that is there."""
        labels = {
            "kubernetes.io/hostname": self._config.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": architecture(),
            "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": architecture(),
            **self._config.labels,
        }
        notes = {ANNOTATION: msgspec.json.encode(self._config.plugins).decode()}
        node = core_v1.Node(metadata=meta_v1.ObjectMeta(name=self._config.name, labels=labels, annotations=notes))
        node.status = await self._status(core_v1.NodeStatus())
        try:
            node = await self._client.create(node)
        except AlreadyExists:
            node = await self._client.patch(core_v1.Node, self._config.name, {"metadata": {"labels": labels, "annotations": notes}})
        self._owners = [meta_v1.OwnerReference(apiVersion="v1", kind="Node", name=self._config.name, uid=node.metadata.uid)]
        await self.beat()

    async def beat(self) -> None:
        """Renew the Lease. Raises ApiError."""
        if self._lease is None:
            try:
                self._lease = await self._client.get(coordination_v1.Lease, self._config.name, LEASES)
            except NotFound:
                self._lease = await self._client.create(self._fresh_lease())
                return
        self._lease.spec.renewTime = self._clock.micro()
        self._lease.metadata.ownerReferences = self._owners
        try:
            self._lease = await self._client.update(self._lease)
        except (Conflict, NotFound):
            self._lease = None
            await self.beat()

    def _fresh_lease(self) -> coordination_v1.Lease:
        return coordination_v1.Lease(
            metadata=meta_v1.ObjectMeta(name=self._config.name, namespace=LEASES, ownerReferences=self._owners),
            spec=coordination_v1.LeaseSpec(
                holderIdentity=self._config.name, leaseDurationSeconds=int(self._config.lease_seconds * 4), renewTime=self._clock.micro()
            ),
        )

    async def run_lease(self) -> None:
        while True:
            await self._clock.sleep(self._config.lease_seconds)
            try:
                await self.beat()
            except ApiError as error:
                log.warning("lease of %s not renewed: %s", self._config.name, error)

    async def run_status(self) -> None:
        """Until cancelled. A Node that was deleted is registered again."""
        while True:
            try:
                await self.write_status()
            except NotFound:
                await self.register()
            except ApiError as error:
                log.warning("status of node %s not written: %s", self._config.name, error)
            await self._clock.sleep(LOOK_EVERY)

    async def write_status(self) -> None:
        """If it changed, or has not been written for five minutes."""
        known = (self.known() or await self._client.get(core_v1.Node, self._config.name)).status
        wanted = await self._status(copy(known))
        if _without_times(to_tree(wanted)) == _without_times(to_tree(known)) and self._clock.monotonic() - self._written < WRITE_EVERY:
            return
        changed = difference(to_tree(known), to_tree(wanted))
        await self._client.patch(core_v1.Node, self._config.name, {"status": changed}, type="strategic", subresource="status")
        self._written = self._clock.monotonic()

    async def _status(self, status: core_v1.NodeStatus) -> core_v1.NodeStatus:
        status.capacity = {**status.capacity, **self.capacity}  # with what others say that the node has
        status.allocatable = dict(status.capacity)
        status.addresses = [
            core_v1.NodeAddress(type="InternalIP", address=self._config.internal_ip),
            core_v1.NodeAddress(type="Hostname", address=self._config.name),
        ]
        status.daemonEndpoints.kubeletEndpoint.Port = self._config.port
        status.nodeInfo = self._info()
        status.volumesInUse = self.volumes_in_use()
        status.images = await self._images(status.images)
        now = self._clock.timestamp()
        health = await self._health()
        reason = "KubeletReady" if health.ready else health.reason or "KubeletNotReady"
        message = "the agent is posting ready status" if health.ready else health.message
        facts = [("Ready", health.ready, reason, message)]
        facts += [
            (
                ("MemoryPressure", True, "KubeletHasInsufficientMemory", "the agent has insufficient memory available")
                if self.memory_is_short()
                else ("MemoryPressure", False, "KubeletHasSufficientMemory", "the agent has sufficient memory available")
            ),
            ("DiskPressure", False, "KubeletHasNoDiskPressure", "the agent has no disk pressure"),
            ("PIDPressure", False, "KubeletHasSufficientPID", "the agent has sufficient PID available"),
        ]
        if self.policies is not None:
            enforced = self.policies()
            why = "NetworkPoliciesEnforced" if enforced.ready else enforced.reason
            facts.append(("NetworkPolicyReady", enforced.ready, why, enforced.message or "network policies are enforced"))
        for kind, true, why, text in facts:
            set_condition(status.conditions, kind, "True" if true else "False", why, text, now, cls=core_v1.NodeCondition)
        for condition in status.conditions:
            condition.lastHeartbeatTime = now
        return status

    async def _images(self, known: list[core_v1.ContainerImage]) -> list[core_v1.ContainerImage]:
        """The largest: what a scheduler may prefer a node for. While the runtime does not answer, what it said before."""
        try:
            found = await self._runtime.list_images()
        except DriverError:
            return known
        largest = sorted(found, key=lambda i: (-i.size, i.id))[:MAX_IMAGES]
        return [core_v1.ContainerImage(names=[*i.digests, *i.tags][:5], sizeBytes=i.size) for i in largest if i.digests or i.tags]

    async def _health(self) -> Health:
        """Of the drivers: the first that is not ready decides."""
        try:
            for driver in (self._runtime, self._network):
                if driver is not None:
                    health = await driver.status()
                    if not health.ready:
                        return health
        except DriverError as error:
            return Health(ready=False, reason=error.reason, message=error.message)
        return Health(ready=True)

    def _info(self) -> core_v1.NodeSystemInfo:
        release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
        return core_v1.NodeSystemInfo(
            machineID=_text("/etc/machine-id"),
            systemUUID=_text("/etc/machine-id"),
            bootID=_text("/proc/sys/kernel/random/boot_id"),
            kernelVersion=platform.release(),
            osImage=release.get("PRETTY_NAME", "Linux").strip('"'),
            containerRuntimeVersion=self.runtime_version,
            kubeletVersion=f"{VERSION}+bareboat.{bareboat.__version__}",
            kubeProxyVersion="",
            operatingSystem="linux",
            architecture=architecture(),
        )


def architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _text(path: str) -> str:
    found = Path(path)
    return found.read_text().strip() if found.exists() else ""


def _without_times(tree: dict[str, Any]) -> dict[str, Any]:
    conditions = [{k: v for k, v in c.items() if k != "lastHeartbeatTime"} for c in tree.get("conditions", [])]
    return {**tree, "conditions": conditions}
