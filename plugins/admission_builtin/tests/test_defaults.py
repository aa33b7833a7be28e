"""What is filled in: classes, overheads, node selectors, tolerations, pull policies."""

import pytest

from bareboat.models import core_v1, networking_v1, node_v1, storage_v1

pytestmark = pytest.mark.virtual_time
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


async def storage_class(world, name, default=True, **more):
    notes = {DEFAULT_CLASS: "true"} if default else {}
    tree = {"metadata": {"name": name, "annotations": notes}, "provisioner": "example.com/disk", **more}
    await world.create(storage_v1.StorageClass, tree)


async def claim(world, name="c", **spec):
    base = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return await world.create(core_v1.PersistentVolumeClaim, {"metadata": {"name": name}, "spec": {**base, **spec}})


async def test_a_claim_without_a_class_gets_the_youngest_default(world):
    assert (await claim(world, "before")).spec.storageClassName is None
    await storage_class(world, "old")
    await world.kernel.clock.sleep(5)
    await storage_class(world, "young")
    await storage_class(world, "another", default=False)
    assert (await claim(world)).spec.storageClassName == "young"
    assert (await claim(world, "none", storageClassName="")).spec.storageClassName == ""


async def test_an_ingress_without_a_class_gets_the_default(world):
    notes = {"ingressclass.kubernetes.io/is-default-class": "true"}
    await world.create(networking_v1.IngressClass, {"metadata": {"name": "main", "annotations": notes}, "spec": {"controller": "a.b/c"}})
    backend = {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}
    made = await world.create(networking_v1.Ingress, {"metadata": {"name": "i"}, "spec": backend})
    assert made.spec.ingressClassName == "main"
    old = {"name": "j", "annotations": {"kubernetes.io/ingress.class": "other"}}
    assert (await world.create(networking_v1.Ingress, {"metadata": old, "spec": backend})).spec.ingressClassName is None


@pytest.mark.parametrize("grows", [True, False])
async def test_a_claim_grows_where_its_class_lets_it(world, grows):
    await storage_class(world, "s", allowVolumeExpansion=grows)
    made = await claim(world)
    made.status.phase = "Bound"
    made = await world.client.update(made, subresource="status")
    made.spec.resources.requests = {"storage": "2Gi"}
    if grows:
        assert (await world.client.update(made)).spec.resources.requests == {"storage": "2Gi"}
    else:
        assert "only dynamically provisioned pvc can be resized" in (await world.refused(world.client.update(made))).message


async def test_a_runtime_class_brings_overhead_selector_and_tolerations(world):
    toleration = {"key": "gvisor", "operator": "Exists"}
    scheduling = {"nodeSelector": {"sandbox": "yes"}, "tolerations": [toleration]}
    tree = {"metadata": {"name": "r"}, "handler": "h", "overhead": {"podFixed": {"cpu": "50m"}}, "scheduling": scheduling}
    await world.create(node_v1.RuntimeClass, tree)
    spec = (await world.pod(runtimeClassName="r")).spec
    assert (spec.overhead, spec.nodeSelector) == ({"cpu": "50m"}, {"sandbox": "yes"})
    assert [t.key for t in spec.tolerations] == ["gvisor"]
    error = await world.refused(world.pod("q", runtimeClassName="r", nodeSelector={"sandbox": "no"}))
    assert "conflict: runtimeClass.scheduling.nodeSelector[sandbox] = yes; pod.spec.nodeSelector[sandbox] = no" in error.message
    error = await world.refused(world.pod("q", runtimeClassName="r", overhead={"cpu": "1"}))
    assert "Pod's Overhead doesn't match RuntimeClass's defined Overhead" in error.message
    error = await world.refused(world.pod("q", runtimeClassName="unknown"))
    assert error.message == 'pods "q" is forbidden: pod rejected: RuntimeClass "unknown" not found'
    assert "without corresponding RuntimeClass" in (await world.refused(world.pod("q", overhead={"cpu": "1"}))).message


async def test_plugins_that_are_off_do_nothing(world):
    pod = await world.pod(containers=[{"name": "c", "image": "x:1", "imagePullPolicy": "Never"}])
    assert pod.spec.containers[0].imagePullPolicy == "Never"


async def test_images_are_always_pulled_where_that_is_on(make_world):
    world = await make_world({"enable": ["AlwaysPullImages"]})
    init = [{"name": "i", "image": "x:1"}]
    pod = await world.pod(containers=[{"name": "c", "image": "x:1", "imagePullPolicy": "Never"}], initContainers=init)
    assert {c.imagePullPolicy for c in [*pod.spec.containers, *pod.spec.initContainers]} == {"Always"}


async def test_pods_keep_to_the_nodes_of_their_namespace(make_world):
    selectors = {"clusterDefaultNodeSelector": "zone=a", "team": "env=dev"}
    world = await make_world({"enable": ["PodNodeSelector"], "podNodeSelectors": selectors})
    notes = {"scheduler.alpha.kubernetes.io/node-selector": "env=dev"}
    await world.create(core_v1.Namespace, {"metadata": {"name": "team", "annotations": notes}})
    assert (await world.pod()).spec.nodeSelector == {"zone": "a"}
    assert (await world.pod(namespace="team")).spec.nodeSelector == {"env": "dev"}
    error = await world.refused(world.pod("q", nodeSelector={"zone": "b"}))
    assert error.message.endswith("pod node label selector conflicts with its namespace node label selector")


async def test_extended_resources_are_tolerated(make_world):
    world = await make_world({"enable": ["ExtendedResourceToleration"]})
    pod = await world.pod(resources={"requests": {"example.com/gpu": "1", "cpu": "1"}, "limits": {"example.com/gpu": "1"}})
    assert [(t.key, t.operator, t.effect) for t in pod.spec.tolerations] == [("example.com/gpu", "Exists", "")]


async def test_external_addresses_are_refused_where_that_is_on(make_world):
    world = await make_world({"enable": ["DenyServiceExternalIPs"]})
    spec = {"ports": [{"port": 80}], "selector": {"a": "b"}, "externalIPs": ["192.0.2.1"]}
    error = await world.refused(world.create(core_v1.Service, {"metadata": {"name": "s"}, "spec": spec}))
    assert error.message == 'services "s" is forbidden: Use of external IPs is denied by admission control.'


async def test_an_unknown_name_in_the_options_is_told(make_world):
    with pytest.raises(ValueError, match="there is no plugin 'Quota'"):
        await make_world({"enable": ["Quota"]})


async def test_a_bound_pod_has_the_zone_of_its_node(world):
    labels = {"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r", "other": "x"}
    await world.create(core_v1.Node, {"metadata": {"name": "n", "labels": labels}})
    await world.pod(labels={"topology.kubernetes.io/region": "own"})
    await world.client.post(
        "/api/v1/namespaces/default/pods/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    )
    pod = await world.client.get(core_v1.Pod, "p", "default")
    assert pod.metadata.labels == {"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "own"}
