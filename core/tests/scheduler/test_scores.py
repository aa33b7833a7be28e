"""Among the nodes that fit, the one that suits the pod best is taken."""

import pytest

from bareboat.models import apps_v1, core_v1

pytestmark = pytest.mark.virtual_time
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"


async def test_preferred_node_affinity_outweighs(world):
    for name in ("a", "b", "c", "d"):
        await world.node(name, labels={"disk": name})
    await world.start()
    terms = [
        {"weight": w, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": [v]}]}}
        for w, v in ((10, "b"), (80, "c"))
    ]
    await world.pod("p", affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}})
    assert await world.bound("p") == "c"


async def test_required_node_affinity_may_name_the_node(world):
    for name in ("a", "b", "c"):
        await world.node(name)
    await world.start()
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    await world.pod("p", cpu="700m", affinity=affinity)
    assert await world.bound("p") == "b"
    await world.pod("q", cpu="700m", affinity=affinity)
    assert await world.refused("q") == (
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: 0/3 nodes are "
        "available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling."
    )


async def test_a_shunned_node_is_the_last_resort(world):
    for name in ("a", "b", "c"):
        await world.node(name, taints=[{"key": "k", "effect": "PreferNoSchedule"}] if name != "b" else ())
    await world.start()
    for number in range(3):
        await world.pod(f"p{number}", cpu="300m")
        assert await world.bound(f"p{number}") == "b"


async def test_preferred_affinity_attracts_and_repels(world):
    for name in ("a", "b", "c"):
        await world.node(name)
    await world.start()
    await world.pod("web", labels={"app": "web"}, nodeSelector={HOST: "b"})
    await world.bound("web")
    near = [{"weight": 5, "podAffinityTerm": {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "web"}}}}]
    await world.pod("friend", affinity={"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": near}})
    assert await world.bound("friend") == "b"
    for number in range(4):
        await world.pod(f"foe{number}", affinity={"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": near}})
        assert await world.bound(f"foe{number}") != "b"


async def test_the_rules_of_those_who_are_there_count_too(world):
    for name in ("a", "b", "c"):
        await world.node(name)
    await world.start()
    near = [{"weight": 5, "podAffinityTerm": {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "web"}}}}]
    await world.pod("fan", affinity={"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": near}}, nodeSelector={HOST: "c"})
    await world.bound("fan")
    await world.pod("web", labels={"app": "web"})
    assert await world.bound("web") == "c"


async def test_a_namespace_selector_means_pods_of_other_namespaces(world):
    for name in ("a", "b"):
        await world.node(name)
    await world.create(core_v1.Namespace, {"metadata": {"name": "other", "labels": {"team": "x"}}})
    await world.start()
    await world.pod("web", labels={"app": "web"}, namespace="other", nodeSelector={HOST: "b"})
    term = {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "web"}}, "namespaceSelector": {"matchLabels": {"team": "x"}}}
    await world.pod("p", affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})
    assert await world.bound("p") == "b"


async def test_siblings_of_an_owner_spread_by_themselves(world):
    for name in ("a", "b", "c"):
        await world.node(name, cpu="8")
    selector = {"matchLabels": {"app": "web"}}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    owner = await world.create(apps_v1.ReplicaSet, {"metadata": {"name": "web"}, "spec": {"selector": selector, "template": template}})
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": owner.metadata.uid, "controller": True}
    await world.start()
    for number in range(6):
        await world.pod(f"p{number}", labels={"app": "web"}, meta={"ownerReferences": [reference]})
        await world.bound(f"p{number}")
    assert sorted((await world.placements()).values()) == ["a", "a", "b", "b", "c", "c"]


async def test_a_preferred_spread_over_zones(world):
    for name, zone in (("a1", "a"), ("a2", "a"), ("b1", "b")):
        await world.node(name, cpu="8", labels={ZONE: zone})
    await world.start()
    spread = {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"app": "web"}}}
    for number in range(4):
        await world.pod(f"p{number}", labels={"app": "web"}, topologySpreadConstraints=[spread])
        await world.bound(f"p{number}")
    assert sum(1 for node in (await world.placements()).values() if node == "b1") == 2


async def test_a_node_without_the_label_of_a_required_spread_is_named(world):
    await world.node("a", labels={ZONE: "a"})
    await world.node("plain")
    await world.start()
    spread = {"maxSkew": 1, "topologyKey": ZONE, "minDomains": 2, "whenUnsatisfiable": "DoNotSchedule"}
    spread["labelSelector"] = {"matchLabels": {"app": "web"}}
    await world.pod("p0", labels={"app": "web"}, topologySpreadConstraints=[spread])
    await world.bound("p0")
    await world.pod("p1", labels={"app": "web"}, topologySpreadConstraints=[spread])
    assert (await world.refused("p1")).startswith(
        "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, "
        "1 node(s) didn't match pod topology spread constraints (missing required label)."
    )


async def test_a_node_that_has_the_image_is_preferred(world):
    for name in ("a", "b", "c"):
        await world.node(name)
    node = await world.get("b", core_v1.Node)
    node.status.images = [core_v1.ContainerImage(names=["web:latest"], sizeBytes=900 * 2**20)]
    await world.client.update(node, subresource="status")
    await world.start()
    await world.pod("p", containers=[{"name": "c", "image": "web"}])
    assert await world.bound("p") == "b"
