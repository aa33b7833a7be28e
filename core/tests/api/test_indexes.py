"""LIST with selectors answers the same with an index as without, while objects come, change and go."""

from __future__ import annotations

import asyncio
import random

import pytest

from bareboat.api import indexes
from bareboat.api.verbs import read
from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.testing.kernel import Kernel

SELECTORS = ["app=a", "app=a,tier=x", "app==b", "tier=none", "app=a,tier in (x,y)", "!tier,app=a"]


def pod(name: str, labels: dict[str, str], node: str = "", namespace: str = "default"):
    spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": node}
    return from_tree(core_v1.Pod, {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": spec})


async def names(kernel: Kernel, namespace: str | None = "default", **selectors: str) -> list[str]:
    return [p.metadata.name for p in (await kernel.client.list(core_v1.Pod, namespace, **selectors)).items]


async def test_an_index_follows_creates_changes_and_deletes(kernel):
    chance = random.Random(7)
    model: dict[str, dict[str, str]] = {}
    for step in range(120):
        name = f"p{chance.randrange(25)}"
        labels = {key: chance.choice("abxy") for key in ("app", "tier") if chance.random() < 0.7}
        if name in model and chance.random() < 0.3:
            await kernel.client.delete(core_v1.Pod, name, "default", grace_seconds=0)
            del model[name]
        elif name in model:
            found = await kernel.client.get(core_v1.Pod, name, "default")
            found.metadata.labels = labels
            await kernel.client.update(found)
            model[name] = labels
        else:
            await kernel.client.create(pod(name, labels, node=f"n{step % 3}"))
            model[name] = labels
        wanted = sorted(n for n, has in model.items() if has.get("app") == "a" and has.get("tier") == "x")
        assert await names(kernel, labels="app=a,tier=x") == wanted
        assert await names(kernel, labels="app=a") == sorted(n for n, has in model.items() if has.get("app") == "a")


async def no_index(*_):
    return None


async def test_selectors_find_the_same_with_and_without_an_index(kernel, monkeypatch):
    for number in range(30):
        labels = {"app": "ab"[number % 2], **({"tier": "xy"[number % 3 % 2]} if number % 5 else {})}
        await kernel.client.create(pod(f"p{number}", labels, node=f"n{number % 4}"))
    await kernel.client.create(pod("elsewhere", {"app": "a"}, node="n1", namespace="kube-system"))
    cases = [{"labels": text} for text in SELECTORS]
    cases += [{"fields": "spec.nodeName=n1"}, {"fields": "spec.nodeName!=n1"}, {"fields": "spec.nodeName=n1", "labels": "app=b"}]
    for case in cases:
        for namespace in ("default", None):
            by_index = await names(kernel, namespace, **case)
            with monkeypatch.context() as without:
                without.setattr(indexes.Indexes, "select", no_index)
                assert by_index == await names(kernel, namespace, **case), case


async def test_a_pod_that_is_bound_is_found_on_its_node(kernel):
    await kernel.client.create(pod("p", {}))
    assert await names(kernel, fields="spec.nodeName=n1") == []
    assert await names(kernel, fields="spec.nodeName=") == ["p"]
    binding = b'{"metadata":{"name":"p"},"target":{"kind":"Node","name":"n1"}}'
    answer = await kernel.client.transport.request("POST", "/api/v1/namespaces/default/pods/p/binding", body=binding)
    assert answer.status == 201
    assert await names(kernel, fields="spec.nodeName=n1") == ["p"]
    assert await names(kernel, fields="spec.nodeName=") == []


async def test_fields_that_are_no_text_can_be_selected(kernel):
    for name, closed in (("open", False), ("closed", True)):
        await kernel.client.create(from_tree(core_v1.Node, {"metadata": {"name": name}, "spec": {"unschedulable": closed}}))
    for wanted, name in (("true", "closed"), ("false", "open")):
        found = await kernel.client.list(core_v1.Node, fields=f"spec.unschedulable={wanted}")
        assert [node.metadata.name for node in found.items] == [name]


async def test_an_index_is_made_some_objects_at_a_time_and_misses_nothing_meanwhile(kernel, monkeypatch):
    monkeypatch.setattr(indexes, "PORTION", 3)
    for number in range(10):
        await kernel.client.create(pod(f"p{number}", {"app": "a"}))
    first = asyncio.ensure_future(names(kernel, labels="app=a"))
    await asyncio.sleep(0)
    await asyncio.gather(
        kernel.client.create(pod("p00", {"app": "a"})),
        kernel.client.create(pod("p99", {"app": "a"})),
        kernel.client.delete(core_v1.Pod, "p1", "default", grace_seconds=0),
        names(kernel, labels="app=a,tier=x"),
    )
    assert set(await first) >= {f"p{number}" for number in range(10) if number != 1}
    assert await names(kernel, labels="app=a") == ["p0", "p00", *(f"p{number}" for number in range(2, 10)), "p99"]


@pytest.mark.parametrize("selectors", [{"labels": "app=a"}, {"labels": "app in (a,b),tier!=x"}, {"fields": "metadata.name=p7"}])
async def test_selections_of_a_large_resource_are_read_in_portions(kernel, monkeypatch, selectors):
    for number in range(20):
        await kernel.client.create(pod(f"p{number}", {"app": "ab"[number % 2], "tier": "xyz"[number % 3]}))
    whole = await names(kernel, **selectors)
    monkeypatch.setattr(read, "PORTION", 4)
    monkeypatch.setattr(read, "TESTED", 3)
    assert await names(kernel, **selectors) == whole
    assert whole
