"""The short way of keeping the books of a new object gives what the walk gives."""

from __future__ import annotations

import random

import pytest

from bareboat.api import ownership
from bareboat.models import apps_v1, batch_v1, core_v1
from bareboat.models.codec import encode, from_tree
from bareboat.testing.kernel import Kernel

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "controller": True}


def metadata(chance: random.Random, number: int) -> dict:
    meta: dict = {"namespace": "default"}
    meta["name" if chance.random() < 0.7 else "generateName"] = f"x{number}"
    if chance.random() < 0.6:
        meta["labels"] = {f"k{i}": "v" for i in range(chance.randrange(4))}
    if chance.random() < 0.6:
        meta["annotations"] = {f"example.com/a{9 - i}": "v" for i in range(chance.randrange(4))}
    if chance.random() < 0.4:
        meta["ownerReferences"] = [{**OWNER, "uid": f"u{9 - i}", "controller": not i} for i in range(chance.randrange(1, 3))]
    if chance.random() < 0.4:
        meta["finalizers"] = [f"example.com/f{9 - i}" for i in range(chance.randrange(1, 3))]
    return meta


def pod_spec(chance: random.Random) -> dict:
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 80}] * chance.randrange(2), "args": ["a"] * chance.randrange(3)}
    spec = {"containers": [container], "tolerations": [{"key": "a"}] * chance.randrange(2)}
    return {**spec, "nodeSelector": {"a": "b"}} if chance.random() < 0.5 else spec


def config_map(chance: random.Random) -> dict:
    data = {chance.choice("zyxcba") + str(i): "v" * i for i in range(chance.randrange(5))}
    found: dict = {"data": data, "binaryData": {f"b.{i}": "Yg==" for i in range(chance.randrange(3))}}
    return {**found, "immutable": chance.random() < 0.5} if chance.random() < 0.5 else found


def objects(chance: random.Random, number: int):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod_spec(chance)}
    yield core_v1.Pod, {"spec": pod_spec(chance)}
    yield apps_v1.Deployment, {"spec": {"selector": {"matchLabels": {"a": "b"}}, "replicas": chance.randrange(3), "template": template}}
    yield batch_v1.Job, {"spec": {"template": {"spec": {**template["spec"], "restartPolicy": "Never"}}}}
    yield core_v1.Service, {"spec": {"ports": [{"port": 80 + i, "name": f"p{i}"} for i in range(chance.randrange(1, 3))]}}
    yield core_v1.Service, {"spec": {"ports": [{"port": 80}]}, "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}}
    yield core_v1.ConfigMap, {"data": {"a": "b"}}
    yield core_v1.ConfigMap, config_map(chance)
    yield core_v1.Secret, {"type": chance.choice(["", "example.com/t"]), "stringData": {"b": "1", "a": ""}, "data": {"c": "Yg=="}}
    yield core_v1.Endpoints, {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}] * chance.randrange(2)}


@pytest.mark.virtual_time  # a second may pass on a busy machine, and it is written down
@pytest.mark.parametrize("seed", range(12))
async def test_both_ways_give_the_same_managed_fields(seed, monkeypatch):
    found = []
    for short in (True, False):
        if not short:
            monkeypatch.setattr(ownership, "_short", lambda *_: None)
        chance, kernel = random.Random(seed), await Kernel().start()
        made = []
        for number in range(4):
            for cls, body in objects(chance, number):
                obj = from_tree(cls, {"metadata": metadata(chance, number), **body})
                path = kernel.scheme.by_type(cls)
                url = f"{path.path_prefix}/namespaces/default/{path.plural}"
                answer = await kernel.client.transport.request("POST", url, body=encode(obj))
                assert answer.status in (201, 409), answer.body
                made.append(answer.body)
        await kernel.stop()
        found.append([entry.partition(b'"managedFields"')[2].partition(b'"spec"')[0] for entry in made])
    assert found[0] == found[1]
    assert any(found[0])
