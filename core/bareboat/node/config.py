"""What an agent is told about its node."""

from __future__ import annotations

import msgspec

from bareboat.models.bareboat_v1 import PluginSpec

#: Labels on sandboxes and containers, as upstream's kubelet sets them.
POD_NAME, POD_NAMESPACE, POD_UID = "io.kubernetes.pod.name", "io.kubernetes.pod.namespace", "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"


class NodeConfig(msgspec.Struct, kw_only=True):
    """``dns_servers`` are what pods ask for names of the cluster, () the node's own.
    ``port`` is where the agent's own HTTPS API listens. Capacities: cpu in cores, memory in bytes.
    """

    name: str
    internal_ip: str
    cluster_cidr: str
    service_cidr: str
    domain: str = "cluster.local"
    dns_servers: tuple[str, ...] = ()
    port: int = 0
    labels: dict[str, str] = {}
    max_pods: int = 110
    cpu: int = 1
    memory: int = 0
    lease_seconds: float = 10.0
    plugins: list[PluginSpec] = []
