"""Changes that look at the touched parts only give what those that look at the whole object give: answers, objects and books."""

from __future__ import annotations

import copy
import random

import msgspec
import pytest

from bareboat.admission.builtin import builtin
from bareboat.api import ownership
from bareboat.api.verbs import apply, patch, update
from bareboat.base.clock import LoopClock
from bareboat.base.ids import SeededIds
from bareboat.testing.kernel import Kernel

pytestmark = pytest.mark.virtual_time  # both ways see the same time

MERGE, STRATEGIC, JSON = (f"application/{kind}+json" for kind in ("merge-patch", "strategic-merge-patch", "json-patch"))
APPLY = "application/apply-patch+yaml"
CONTAINER = {"name": "c", "image": "i", "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "b"}]}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER]}}
OBJECTS = {
    "/api/v1/namespaces/default/serviceaccounts/default": {"automountServiceAccountToken": False},
    "/api/v1/namespaces/default/pods/x": {"spec": {"containers": [CONTAINER]}},
    "/api/v1/namespaces/default/configmaps/x": {"data": {"a": "b"}},
    "/api/v1/namespaces/default/services/x": {"spec": {"ports": [{"port": 80}], "clusterIP": "10.96.0.50"}},
    "/api/v1/nodes/x": {"status": {"capacity": {"cpu": "1"}}},
    "/apis/apps/v1/namespaces/default/deployments/x": {
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "replicas": 2, "template": TEMPLATE}
    },
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/x": {"rules": []},
}
METADATA = [
    {"labels": {"a": "c", "d": None}},
    {"labels": None},
    {"annotations": {"example.com/a": "b"}},
    {"annotations": {"example.com/a": "[]"}, "labels": {"e": "f"}},
    {"finalizers": ["example.com/f"]},
    {"finalizers": []},
    {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}]},
    {"managedFields": [{}]},
    {"managedFields": None},
    {"name": "y"},
    {"uid": "other"},
    {"resourceVersion": "3"},
    {"generation": 7, "creationTimestamp": None},
    {"strange": 1},
    {"labels": {"a": 1}},
    {"$patch": "replace", "labels": {"a": "b"}},
    {"$deleteFromPrimitiveList/finalizers": ["example.com/f"]},
    {"$retainKeys": ["name", "labels"], "labels": {"q": "r"}},
]
PARTS = [
    {"spec": {"containers": [{"name": "c", "image": "j"}]}},
    {"spec": {"containers": [{"name": "c", "$patch": "delete"}]}},
    {"spec": {"replicas": 3, "paused": True}},
    {"spec": {"template": {"metadata": {"annotations": {"t": "u"}}, "spec": {"hostNetwork": True}}}},
    {"spec": {"ports": [{"port": 80, "name": "p", "nodePort": 30100}, {"port": 81, "name": "q", "nodePort": 30101}], "type": "NodePort"}},
    {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}], "unschedulable": True}},
    {"spec": None},
    {"spec": "text"},
    {"data": {"a": None, "c": "d"}, "binaryData": {"e": "Zg=="}},
    {"data": None, "immutable": True},
    {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    {"rules": [], "aggregationRule": {"clusterRoleSelectors": []}},
    {"status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}},
    {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "R"}], "allocatable": {"cpu": "500m"}}},
    {"status": {"conditions": []}, "metadata": {"annotations": {"with": "status"}}},
    {"kind": "Other"},
    {"strange": {"a": 1}},
    {"$patch": "delete"},
    {},
]
POINTERS = [
    [{"op": "add", "path": "/metadata/labels", "value": {"j": "k"}}],
    [{"op": "add", "path": "/metadata/labels/l", "value": "m"}, {"op": "remove", "path": "/metadata/annotations"}],
    [{"op": "replace", "path": "/metadata/annotations/example.com~1a", "value": "z"}],
    [{"op": "test", "path": "/metadata/name", "value": "x"}, {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/g"]}],
    [{"op": "remove", "path": "/metadata/managedFields"}],
    [{"op": "replace", "path": "/metadata/managedFields/0/manager", "value": "taken"}],
    [{"op": "replace", "path": "/spec/containers/0/image", "value": "k"}],
    [{"op": "copy", "from": "/metadata/name", "path": "/metadata/labels/name"}],
    [{"op": "move", "from": "/data/c", "path": "/data/f"}],
    [{"op": "replace", "path": "/status/phase", "value": "Failed"}],
    [{"op": "add", "path": "/spec/replicas", "value": 4}, {"op": "test", "path": "/spec/replicas", "value": 4}],
    [{"op": "replace", "path": "", "value": {}}],
    [{"op": "add", "path": "", "value": {"metadata": {"name": "x"}}}],
    [{"op": "add", "path": "/meta~0data", "value": 1}],
    [{"op": "remove", "path": "/"}],
    [{"op": "remove"}],
]


def change(chance: random.Random, path: str, stored: dict) -> tuple[str, dict, bytes, str]:
    """Method, query, body and content type."""
    manager = {"fieldManager": chance.choice(["one", "two", "kubectl"])}
    kind = chance.choice([MERGE, STRATEGIC, JSON, APPLY, APPLY, "PUT", "PUT"])
    if kind == JSON:
        return "PATCH", manager, msgspec.json.encode(chance.choice(POINTERS)), kind
    document = {**chance.choice([{}, *PARTS]), **chance.choice([{}, {"metadata": chance.choice(METADATA)}])}
    if kind != APPLY and kind != "PUT":
        return "PATCH", manager | chance.choice([{}, {"fieldValidation": "Strict"}]), msgspec.json.encode(document), kind
    if kind == APPLY:
        config = {"apiVersion": stored["apiVersion"], "kind": stored["kind"], **document}
        return "PATCH", manager | chance.choice([{}, {"force": "true"}]), msgspec.json.encode(config), kind
    return "PUT", manager, put(chance, copy.deepcopy(stored), document), "application/json"


def put(chance: random.Random, stored: dict, document: dict) -> bytes:
    meta = document.pop("metadata", {})
    stored.update({name: value for name, value in document.items() if not name.startswith("$")})
    stored["metadata"].update({name: value for name, value in meta.items() if not name.startswith("$")})
    for name in ("resourceVersion", "managedFields", "uid", "creationTimestamp"):
        if chance.random() < 0.3:
            stored["metadata"].pop(name, None)
    for name in ("kind", "metadata", "status"):
        if chance.random() < 0.1:
            stored.pop(name, None)
    data = msgspec.json.encode(stored)
    return data.replace(b",", b", ", 1) if chance.random() < 0.2 else data


async def run(seed: int) -> list:
    chance = random.Random(seed)
    kernel = await Kernel(clock=LoopClock(), ids=SeededIds(seed), admission=builtin).start()
    ask, found = kernel.client.transport.request, []
    try:
        for path, tree in OBJECTS.items():
            collection, _, name = path.rpartition("/")
            answer = await ask("POST", collection, body=msgspec.json.encode({"metadata": {"name": name}, **tree}))
            assert answer.status == 201, answer.body
        for _ in range(150):
            path = chance.choice(list(OBJECTS))
            stored = msgspec.json.decode((await ask("GET", path)).body)
            if stored["kind"] == "Status":
                continue
            method, query, data, media = change(chance, path, stored)
            subresource = "/status" if chance.random() < 0.3 and "status" in stored else ""
            answer = await ask(method, path + subresource, query=query, body=data, content_type=media)
            found.append((method, path + subresource, query, data, media, answer.status, answer.headers, answer.body))
    finally:
        await kernel.stop()
    return found


@pytest.mark.parametrize("seed", range(8))
async def test_both_ways_give_the_same_answers(seed, monkeypatch):
    short = await run(seed)
    monkeypatch.setattr(patch, "_touched", lambda *_: None)
    monkeypatch.setattr(apply, "_touched", lambda *_: None)
    monkeypatch.setattr(update, "replacement", lambda *_: None)
    monkeypatch.setattr(ownership, "_comparable", lambda *_: False)
    whole = await run(seed)
    for one, other in zip(short, whole, strict=True):
        assert one == other
    assert sum(200 <= answer[5] < 300 for answer in short) > 30
