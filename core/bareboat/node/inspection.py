"""What the kubelet's API tells of a node to those who look: metrics, statistics, configuration, what runs.

/metrics /metrics/resource /metrics/cadvisor   Prometheus text: the agent itself; its pods, twice
/stats/summary               the node and its pods
/configz                     the KubeletConfiguration in force, as far as there is one
/runningpods                 the pods that the runtime has, whatever the API says
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.contracts.errors import DriverError
from bareboat.node import cadvisor, exposition
from bareboat.node.summary import summary

if TYPE_CHECKING:
    from bareboat.node.agent import NodeAgent

TEXT = "text/plain; version=0.0.4; charset=utf-8"
JSON = "application/json"


async def answer(parts: Sequence[str], agents: Sequence[NodeAgent]) -> tuple[bytes, str] | None:
    """Body and content type; None for another path. ``agents`` are the nodes that are meant. Raises DriverError."""
    path = "/".join(parts)
    if path == "metrics":
        facts = [await _facts(agent) for agent in agents]
        return exposition.text(exposition.of_agent(facts)), TEXT
    if path == "metrics/resource":
        return await _resources(agents), TEXT
    if path == "metrics/cadvisor":
        snapshots = [await agent.stats.current() for agent in agents]
        return exposition.text(cadvisor.families(snapshots, agents[0].config.cpu)), TEXT
    if path == "stats/summary":
        agent = agents[0]
        return msgspec.json.encode(summary(agent.config.name, await agent.stats.current())), JSON
    if path == "configz":
        return msgspec.json.encode({"kubeletconfig": _configuration(agents[0])}), JSON
    if path == "runningpods":
        items = [pod for agent in agents for pod in await _running(agent)]
        return msgspec.json.encode({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}), JSON
    return None


async def _resources(agents: Sequence[NodeAgent]) -> bytes:
    try:
        snapshots = [await agent.stats.current() for agent in agents]
    except DriverError:  # upstream counts it in the answer: a scrape of the rest goes on
        return exposition.text(exposition.of_resources([], failed=True))
    return exposition.text(exposition.of_resources(snapshots))


async def _facts(agent: NodeAgent) -> exposition.NodeFacts:
    state = agent.services.runtime_state
    containers = [c for uid in state.uids() for c in (await state.of(uid))[1]]
    return exposition.NodeFacts(agent.config.name, len(agent.pods()), agent.workers, containers, agent.stats, state)


async def _running(agent: NodeAgent) -> list[dict[str, Any]]:
    state, found = agent.services.runtime_state, []
    for uid in sorted(state.uids()):
        sandboxes, containers = await state.of(uid)
        running = [c for c in containers if c.state == "RUNNING"]
        if sandboxes and running:
            config = sandboxes[-1].config
            found.append(
                {
                    "metadata": {"name": config.name, "namespace": config.namespace, "uid": config.uid},
                    "spec": {"containers": [{"name": c.config.name, "image": c.config.image, "resources": {}} for c in running]},
                    "status": {},
                }
            )
    return found


def _configuration(agent: NodeAgent) -> dict[str, Any]:
    config = agent.config
    return {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "address": config.internal_ip,
        "port": config.port,
        "authentication": {"x509": {}, "webhook": {"enabled": False}, "anonymous": {"enabled": False}},
        "clusterDomain": config.domain,
        "maxPods": config.max_pods,
        "nodeLeaseDurationSeconds": int(config.lease_seconds * 4),
        "nodeStatusUpdateFrequency": "5s",
        "nodeStatusReportFrequency": "5m0s",
    }
