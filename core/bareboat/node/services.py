"""What the workers of a node share: client, drivers, clock, events, and what they look up."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bareboat.base.clock import Clock
from bareboat.client.client import Client
from bareboat.contracts import cri
from bareboat.contracts.cni import NetworkDriver
from bareboat.contracts.csi import VolumeDriver
from bareboat.contracts.errors import Unsupported
from bareboat.models import core_v1
from bareboat.models.status import Forbidden, NotFound
from bareboat.models.times import parse
from bareboat.node import environment
from bareboat.node.allocations import Allocations
from bareboat.node.config import NodeConfig
from bareboat.node.runtime_state import RuntimeState
from bareboat.node.runtimes import Handlers
from bareboat.node.storage.growing import Growing
from bareboat.node.storage.publishing import NodeStorage
from bareboat.reconcile.events import EventRecorder
from bareboat.reconcile.informer import Informer

#: A projected token is renewed when less than this share of its life is left.
RENEW_AT = 0.2


class NodeServices:
    """Handed to every worker."""

    def __init__(
        self,
        config: NodeConfig,
        client: Client,
        runtime: cri.RuntimeDriver,
        network: NetworkDriver | None,
        state: RuntimeState,
        pods: Informer[core_v1.Pod],
        services: Informer[core_v1.Service],
        clock: Clock,
        events: EventRecorder,
        state_dir: Path,
        runtimes: Mapping[str, cri.RuntimeDriver],
        volume_drivers: Mapping[str, VolumeDriver],
    ) -> None:
        self.config = config
        self.client = client
        self.runtime = runtime
        self.network = network
        self.runtime_state = state
        self.clock = clock
        self.events = events
        self.handlers = Handlers(runtimes, clock, self.find)
        self.allocatable: dict[str, str] = {}
        self.allocations = Allocations(self.allocatable)
        self.storage = NodeStorage(config.name, state_dir, volume_drivers, self.find, self.token, clock, Growing(client, events))
        self.memory_is_short: Callable[[], bool] = lambda: False
        self.this_node: Callable[[], core_v1.Node | None] = lambda: None
        self._pods = pods
        self._services = services
        self._state_dir = state_dir
        self._tokens: dict[tuple[str, str, str], tuple[str, float]] = {}

    def pod(self, key: str, uid: str) -> core_v1.Pod | None:
        """The pod as the API has it, if it is still the same one."""
        found = self._pods.get(key)
        return found if found is not None and found.metadata.uid == uid else None

    def pod_directory(self, uid: str) -> Path:
        return self._state_dir / "pods" / uid

    def log_directory(self, key: str, uid: str) -> Path:
        return self._state_dir / "logs" / f"{key.replace('/', '_')}_{uid}"

    async def exec_sync(self, container_id: str, command: tuple[str, ...], timeout: float) -> tuple[int, bytes, bytes]:
        if not isinstance(self.runtime, cri.Exec):
            raise Unsupported("the runtime cannot run commands in containers")
        return await self.runtime.exec_sync(container_id, command, timeout)

    async def find(self, cls: type[Any], name: str, namespace: str) -> Any:
        """An object, or None if it does not exist (or is not ours to see, which is the same here)."""
        try:
            return await self.client.get(cls, name, namespace)
        except (NotFound, Forbidden):
            return None

    async def token(self, pod: core_v1.Pod, projection: Any) -> str:
        """A token bound to the pod, renewed before it ends."""
        key = (pod.metadata.uid, projection.audience, projection.path)
        now = self.clock.now().timestamp()
        known = self._tokens.get(key)
        if known is not None and known[1] > now:
            return known[0]
        account = pod.spec.serviceAccountName or "default"
        seconds = projection.expirationSeconds or 3600
        request = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "spec": {
                "audiences": [projection.audience] if projection.audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": pod.metadata.name, "uid": pod.metadata.uid},
            },
        }
        path = f"/api/v1/namespaces/{pod.metadata.namespace}/serviceaccounts/{account}/token"
        answer = (await self.client.post(path, request))["status"]
        expires = parse(answer["expirationTimestamp"]).timestamp()
        token = str(answer["token"])
        self._tokens[key] = (token, expires - (expires - now) * RENEW_AT)
        return token

    async def environment(self, pod: core_v1.Pod, container: core_v1.Container) -> dict[str, str]:
        """The container's variables. Raises ConfigError."""
        maps, secrets = await self._references(pod, container)
        links = pod.spec.enableServiceLinks is not False
        services = environment.service_variables(self._services.list(), pod.metadata.namespace, links=links)
        found = environment.build(
            pod, container, lambda _, name: maps.get(name), lambda _, name: secrets.get(name), services, self.allocatable
        )
        return {"HOSTNAME": pod.spec.hostname or pod.metadata.name, **found}

    async def _references(self, pod: core_v1.Pod, container: core_v1.Container) -> tuple[dict[str, Any], dict[str, Any]]:
        map_names = {s.configMapRef.name for s in container.envFrom if s.configMapRef is not None}
        secret_names = {s.secretRef.name for s in container.envFrom if s.secretRef is not None}
        for variable in container.env:
            source = variable.valueFrom
            if source is not None and source.configMapKeyRef is not None:
                map_names.add(source.configMapKeyRef.name)
            if source is not None and source.secretKeyRef is not None:
                secret_names.add(source.secretKeyRef.name)
        maps: dict[str, Any] = {}
        secrets: dict[str, Any] = {}
        for name in map_names:
            found = await self.find(core_v1.ConfigMap, name, pod.metadata.namespace)
            if found is not None:
                maps[name] = {
                    **{k: base64.b64decode(v).decode("utf-8", "surrogateescape") for k, v in found.binaryData.items()},
                    **found.data,
                }
        for name in secret_names:
            found = await self.find(core_v1.Secret, name, pod.metadata.namespace)
            if found is not None:
                secrets[name] = environment.decoded(found)
        return maps, secrets
