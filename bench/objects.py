"""What is created, changed and read: objects of the size that a real cluster has them (a Pod as served is 4.8 KB)."""

from __future__ import annotations

import json
from typing import Any

#: Every hundredth object carries one label value, and is on one node.
GROUPS = 100
NAMESPACE = "bench"

_ENVIRONMENT = [
    {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "database", "key": "url"}}},
    {"name": "LOG_LEVEL", "value": "info"},
]


def _container(name: str, port: int) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/healthz", "port": port}, "periodSeconds": 10, "failureThreshold": 3}
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}}
    return {
        "name": name,
        "image": f"registry.example.com/team/{name}:1.27.3",
        "args": ["--listen", f":{port}", "--config", "/etc/config/settings.yaml"],
        "ports": [{"name": f"http-{port}", "containerPort": port}],
        "env": _ENVIRONMENT,
        "resources": resources,
        "readinessProbe": probe,
        "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}],
    }


def pod(name: str, group: int = 0, *, node: bool = True) -> dict[str, Any]:
    """On a node already, unless the scheduler is to place it."""
    labels = {"app": "web", "group": f"g{group}", "pod-template-hash": "6d4cf56db6"}
    spec: dict[str, Any] = {
        "containers": [_container("web", 8080)],
        "volumes": [{"name": "config", "configMap": {"name": "web"}}],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000},
    }
    if node:
        spec["nodeName"] = f"node-{group}"
    meta = {"name": name, "namespace": NAMESPACE, "labels": labels, "annotations": {"example.com/checksum": "9f86d081884c7d65"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def small_pod(name: str) -> dict[str, Any]:
    """One for the scheduler."""
    container = {"name": "c", "image": "web:1", "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}


def config_map(name: str) -> dict[str, Any]:
    data = {f"key-{number}": "value " * 8 for number in range(6)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": "web"}}, "data": data}


def node(name: str) -> dict[str, Any]:
    room = {"cpu": "32", "memory": "256Gi", "pods": "110"}
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{len(name) % 3}"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": None, "lastTransitionTime": None}
    status = {"capacity": room, "allocatable": room, "conditions": [ready]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status}


def lease(name: str) -> dict[str, Any]:
    """A node's heartbeat."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40},
    }


def deployment(name: str, replicas: int) -> dict[str, Any]:
    volumes = [{"name": "config", "configMap": {"name": "web"}}]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [_container("web", 8080)], "volumes": volumes}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def applied(name: str, value: str) -> dict[str, Any]:
    """What a client applies over an existing Pod."""
    meta = {"name": name, "labels": {"applied": value}, "annotations": {"example.com/owner": "bench"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta}


def named(tree: dict[str, Any], name: str, generate: str = "") -> dict[str, Any]:
    """The same object under another name, or under one that the server makes of a beginning."""
    given = {"generateName": generate} if generate else {"name": name}
    return {**tree, "metadata": {**{key: value for key, value in tree["metadata"].items() if key != "name"}, **given}}


def text(tree: Any) -> str:
    return json.dumps(tree, separators=(",", ":"))


def body(tree: Any) -> bytes:
    return text(tree).encode()
