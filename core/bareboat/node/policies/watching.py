"""Keeps a node's network policy driver equal to the NetworkPolicies of the cluster.

In: NetworkPolicies always; pods and namespaces of the whole cluster from the first policy on, so that a cluster without policies pays
nothing. Out: ``driver.sync(state)``, debounced and retried; what goes wrong is the condition ``NetworkPolicyReady`` of the Node.
"""

from __future__ import annotations

import asyncio
import logging

from bareboat.base.backoff import Backoff
from bareboat.base.clock import Clock
from bareboat.client.client import Client
from bareboat.contracts.driver import Health
from bareboat.contracts.errors import DriverError
from bareboat.contracts.netpolicy import NetworkPolicyDriver, PolicyState
from bareboat.models import core_v1, networking_v1
from bareboat.node.dns.zone import dns_address
from bareboat.node.policies.resolution import PodFacts, facts, resolve
from bareboat.reconcile.informer import Informer, InformerFactory

log = logging.getLogger("bareboat.node")
DEBOUNCE = 0.05
#: How the node's own name server is selected, as the pods of a cluster that has them.
DNS_NAMESPACE, DNS_LABELS = "kube-system", {"k8s-app": "kube-dns"}


class PolicyWatcher:
    """Runs until cancelled."""

    def __init__(self, node: str, service_cidr: str, driver: NetworkPolicyDriver, client: Client, clock: Clock) -> None:
        """``client`` may read policies, namespaces and pods of all nodes: more than a node may (``access``)."""
        self._node = node
        self._driver = driver
        self._informers = informers = InformerFactory(client)
        self._clock = clock
        self._dns = PodFacts(
            namespace=DNS_NAMESPACE,
            name="dns",
            labels=DNS_LABELS,
            address=dns_address(service_cidr),
            ports={("dns", "UDP"): 53, ("dns-tcp", "TCP"): 53},
        )
        self._changed = asyncio.Event()
        self._policies: Informer[networking_v1.NetworkPolicy] = informers.of(networking_v1.NetworkPolicy)
        self._policies.on_change(self._policy)
        self._pods: dict[str, PodFacts] = {}
        self._labels: dict[str, dict[str, str]] = {}
        self._watching: list[Informer[core_v1.Pod] | Informer[core_v1.Namespace]] = []
        self._backoff = Backoff(0.5, 30.0)
        self._health = Health(ready=False, reason="PoliciesUnknown", message="the network policies of the cluster are not known yet")

    def health(self) -> Health:
        """For the Node's condition."""
        return self._health

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._informers.run(), name="policy-informers")
            await self._follow()

    async def _follow(self) -> None:
        await self._policies.synced()
        self._changed.set()
        while True:
            await self._changed.wait()
            await self._clock.sleep(DEBOUNCE)
            self._changed.clear()
            try:
                await self._driver.sync(await self._state())
            except DriverError as error:
                self._health = Health(ready=False, reason=error.reason, message=error.message)
                wait = error.retry_after or self._backoff.next()
                log.warning("network policies of node %s are not up to date: %s; again in %.1f s", self._node, error, wait)
                await self._clock.sleep(wait)
                self._changed.set()
            else:
                self._health = Health(ready=True)
                self._backoff.reset()

    async def _state(self) -> PolicyState:
        policies = self._policies.list()
        if not policies:
            return PolicyState()
        if not self._watching:
            self._watch()
        for informer in self._watching:
            await informer.synced()
        return resolve(policies, [*self._pods.values(), self._dns], self._labels)

    def _watch(self) -> None:
        pods, namespaces = self._informers.of(core_v1.Pod), self._informers.of(core_v1.Namespace)
        self._watching = [pods, namespaces]
        pods.on_change(lambda key, old, new: self._pod(key, pods.get(key)))
        namespaces.on_change(lambda key, old, new: self._namespace(namespaces.get(key), key.removeprefix("/")))

    def _policy(self, key: str, old: bytes | None, new: bytes | None) -> None:
        self._changed.set()

    def _pod(self, key: str, pod: core_v1.Pod | None) -> None:
        found = None if pod is None else facts(pod, self._node)
        if found == self._pods.get(key):
            return
        if found is None:
            del self._pods[key]
        else:
            self._pods[key] = found
        self._changed.set()

    def _namespace(self, namespace: core_v1.Namespace | None, name: str) -> None:
        labels = None if namespace is None else dict(namespace.metadata.labels)
        if labels == self._labels.get(name):
            return
        if labels is None:
            del self._labels[name]
        else:
            self._labels[name] = labels
        self._changed.set()
