"""Parts of objects, Services and their numbers, kinds with two versions, and Events: what a client sees."""

import asyncio

import msgspec
import pytest
from core.tests.api.objects import pod

from bareboat.client.client import checked
from bareboat.models import apps_v1, autoscaling_v1, autoscaling_v2, core_v1, events_v1, flowcontrol_v1, policy_v1, storage_v1
from bareboat.models.codec import encode, from_tree
from bareboat.models.status import BadRequest, Conflict, Invalid, NotFound, TooManyRequests

pytestmark = pytest.mark.virtual_time
EVENT = {
    "metadata": {"name": "e", "namespace": "default"},
    "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
    "note": "hello",
    "reason": "Test",
    "type": "Normal",
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "reportingController": "t",
    "reportingInstance": "t",
    "action": "a",
}


class TestSubresources:
    async def test_scale(self, client):
        tree = {
            "metadata": {"name": "d", "namespace": "default"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"a": "b"}},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "host"}]}},
            },
        }
        await client.create(from_tree(apps_v1.Deployment, tree))
        path = "/apis/apps/v1/namespaces/default/deployments/d/scale"
        scale = msgspec.json.decode(checked(await client.transport.request("GET", path)).body)
        assert scale["spec"]["replicas"] == 2
        assert scale["status"]["selector"] == "a=b"
        scale["spec"]["replicas"] = 5
        checked(await client.transport.request("PUT", path, body=msgspec.json.encode(scale)))
        body = b'{"spec":{"replicas":7}}'
        checked(await client.transport.request("PATCH", path, body=body, content_type="application/merge-patch+json"))
        assert (await client.get(apps_v1.Deployment, "d", "default")).spec.replicas == 7

    async def test_binding_sets_the_node_once(self, client):
        await client.create(pod())
        binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
        await client.post("/api/v1/namespaces/default/pods/p/binding", binding)
        bound = await client.get(core_v1.Pod, "p", "default")
        assert bound.spec.nodeName == "n1"
        assert bound.status.conditions[0].type == "PodScheduled"
        with pytest.raises(Conflict, match="already assigned"):
            await client.post("/api/v1/namespaces/default/pods/p/binding", binding)

    async def test_binding_changes_nothing_else_of_the_pod(self, client):
        made = await client.create(pod(tolerations=[{"operator": "Exists"}], nodeSelector={"zone": "a"}))
        made.status.nominatedNodeName = "n2"
        made.status.conditions = [core_v1.PodCondition(type="PodScheduled", status="False", reason="Unschedulable", message="no room")]
        before = await client.update(made, subresource="status")
        given = {"labels": {"app": "not this", "rack": "r1"}, "annotations": {"why": "room"}}
        await client.post(
            "/api/v1/namespaces/default/pods/p/binding", {"metadata": {"name": "p", **given}, "target": {"kind": "Node", "name": "n1"}}
        )
        after = await client.get(core_v1.Pod, "p", "default")
        [condition] = after.status.conditions
        assert (condition.status, condition.reason, condition.message) == ("True", "", "")
        assert after.metadata.labels == {"rack": "r1", **before.metadata.labels}
        assert after.metadata.annotations == {"why": "room"}
        assert after.status.nominatedNodeName == ""
        before.metadata.labels, before.metadata.annotations = after.metadata.labels, after.metadata.annotations
        before.metadata.resourceVersion = after.metadata.resourceVersion
        before.spec.nodeName, before.status = "n1", after.status
        assert encode(after) == encode(before)

    @pytest.mark.parametrize(
        ("spec", "uid", "because"), [({"schedulingGates": [{"name": "example.com/quota"}]}, "", "scheduling"), ({}, "another", "UID")]
    )
    async def test_a_pod_that_may_not_be_bound_stays_where_it_is(self, client, spec, uid, because):
        await client.create(pod(**spec))
        binding = {"metadata": {"name": "p", "uid": uid}, "target": {"kind": "Node", "name": "n1"}}
        with pytest.raises(Conflict, match=because):
            await client.post("/api/v1/namespaces/default/pods/p/binding", binding)
        assert (await client.get(core_v1.Pod, "p", "default")).spec.nodeName == ""

    async def test_eviction_asks_the_budget(self, client):
        made = await client.create(pod(nodeName="n1"))
        made.status.phase = "Running"
        await client.update(made, subresource="status")
        budget = {"metadata": {"name": "b", "namespace": "default"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}}
        await client.create(from_tree(policy_v1.PodDisruptionBudget, budget))
        eviction = {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "p", "namespace": "default"}}
        with pytest.raises(TooManyRequests):
            await client.post("/api/v1/namespaces/default/pods/p/eviction", eviction)
        await client.delete(policy_v1.PodDisruptionBudget, "b", "default")
        await client.post("/api/v1/namespaces/default/pods/p/eviction", eviction)
        assert (await client.get(core_v1.Pod, "p", "default")).metadata.deletionTimestamp


class TestServices:
    def service(self, name="s", **spec):
        tree = {"metadata": {"name": name, "namespace": "default"}, "spec": {"ports": [{"port": 80}], **spec}}
        return from_tree(core_v1.Service, tree)

    async def test_it_gets_an_address_and_gives_it_back(self, client):
        made = await client.create(self.service())
        address = made.spec.clusterIP
        assert address.startswith("10.96.")
        with pytest.raises(Invalid, match="already allocated"):
            await client.create(self.service("t", clusterIP=address))
        await client.delete(core_v1.Service, "s", "default")
        assert (await client.create(self.service("t", clusterIP=address))).spec.clusterIPs == [address]

    async def test_node_ports(self, client):
        made = await client.create(self.service(type="NodePort"))
        port = made.spec.ports[0].nodePort
        assert 30000 <= port <= 32767
        with pytest.raises(Invalid, match="already allocated"):
            await client.create(self.service("t", type="NodePort", ports=[{"port": 80, "nodePort": port}]))
        with pytest.raises(Invalid, match="not in the valid range"):
            await client.create(self.service("t", type="NodePort", ports=[{"port": 80, "nodePort": 80}]))
        changed = await client.patch(core_v1.Service, "s", {"spec": {"type": "ClusterIP"}}, "default")
        assert changed.spec.ports[0].nodePort == 0
        await client.create(self.service("t", type="NodePort", ports=[{"port": 80, "nodePort": port}]))

    async def test_headless_has_none(self, client):
        assert (await client.create(self.service(clusterIP="None"))).spec.clusterIPs == ["None"]


class TestVersions:
    async def test_an_event_is_one_object_in_two_groups(self, client):
        await client.create(from_tree(events_v1.Event, EVENT))
        assert (await client.get(core_v1.Event, "e", "default")).message == "hello"
        assert (await client.list(events_v1.Event, "default")).items[0].note == "hello"

    async def test_events_are_selected_by_the_fields_of_their_group(self, client):
        await client.create(from_tree(events_v1.Event, EVENT))
        for fields in ("reportingController=t", "regarding.name=p,reason=Test,type=Normal"):
            assert (await client.list(events_v1.Event, "default", fields=fields)).items
        for fields in ("reportingComponent=t", "source=t", "involvedObject.name=p"):
            assert (await client.list(core_v1.Event, "default", fields=fields)).items
            with pytest.raises(BadRequest, match="field label not supported"):
                await client.list(events_v1.Event, "default", fields=fields)

    async def test_an_autoscaler_is_one_object_in_two_versions(self, client):
        tree = {
            "metadata": {"name": "h", "namespace": "default"},
            "spec": {
                "maxReplicas": 3,
                "targetCPUUtilizationPercentage": 50,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
            },
        }
        await client.create(from_tree(autoscaling_v1.HorizontalPodAutoscaler, tree))
        newer = await client.get(autoscaling_v2.HorizontalPodAutoscaler, "h", "default")
        assert newer.spec.metrics[0].resource.target.averageUtilization == 50
        assert (await client.get(autoscaling_v1.HorizontalPodAutoscaler, "h", "default")).spec.targetCPUUtilizationPercentage == 50


async def test_events_go_after_an_hour(client):
    tree = {"metadata": {"name": "e", "namespace": "default"}, "involvedObject": {"kind": "Pod", "namespace": "default"}}
    await client.create(from_tree(core_v1.Event, tree))
    await asyncio.sleep(3700)
    with pytest.raises(NotFound):
        await client.get(core_v1.Event, "e", "default")


class TestMetadataWithAStatus:
    """What clients mark while they write a status stays, but for kinds whose rules say otherwise."""

    changes = {"metadata": {"annotations": {"seen": "yes"}, "labels": {"seen": "yes"}}}

    async def marked(self, client, made, part="status"):
        done = await client.patch(type(made), made.metadata.name, self.changes, made.metadata.namespace, subresource=part)
        return done.metadata.annotations.get("seen"), done.metadata.labels.get("seen")

    async def test_it_is_written_too(self, client):
        namespace = await client.create(from_tree(core_v1.Namespace, {"metadata": {"name": "n"}}))
        assert await self.marked(client, namespace) == ("yes", "yes")
        quota = await client.create(from_tree(core_v1.ResourceQuota, {"metadata": {"name": "q", "namespace": "default"}}))
        assert await self.marked(client, quota) == ("yes", "yes")
        assert await self.marked(client, await client.create(pod())) == ("yes", "yes")

    async def test_it_is_written_when_a_namespace_is_finalized(self, client):
        namespace = await client.create(from_tree(core_v1.Namespace, {"metadata": {"name": "n"}}))
        namespace.metadata.annotations = {"seen": "yes"}
        namespace.spec.finalizers.append("example.com/mine")
        done = await client.update(namespace, subresource="finalize")
        assert done.spec.finalizers == ["kubernetes", "example.com/mine"]
        assert done.metadata.annotations == {"seen": "yes"}

    async def test_a_deployment_keeps_its_labels(self, client):
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "host"}]}}
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
        tree = {"metadata": {"name": "d", "namespace": "default"}, "spec": spec}
        assert await self.marked(client, await client.create(from_tree(apps_v1.Deployment, tree))) == ("yes", None)
        owner = {"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "u"}
        done = await client.patch(apps_v1.Deployment, "d", {"metadata": {"ownerReferences": [owner]}}, "default", subresource="status")
        assert [o.name for o in done.metadata.ownerReferences] == ["o"]

    async def test_a_pod_keeps_its_owners(self, client):
        made = await client.create(pod())
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"}
        done = await client.patch(core_v1.Pod, "p", {"metadata": {"ownerReferences": [owner]}}, "default", subresource="status")
        assert done.metadata.ownerReferences == made.metadata.ownerReferences == []

    async def test_a_flow_schema_keeps_all(self, client):
        spec = {"priorityLevelConfiguration": {"name": "global-default"}, "matchingPrecedence": 10000}
        made = await client.create(from_tree(flowcontrol_v1.FlowSchema, {"metadata": {"name": "f"}, "spec": spec}))
        assert await self.marked(client, made) == (None, None)

    async def test_an_attachment_keeps_all(self, client):
        spec = {"attacher": "a.example", "nodeName": "n1", "source": {"persistentVolumeName": "v"}}
        made = await client.create(from_tree(storage_v1.VolumeAttachment, {"metadata": {"name": "a"}, "spec": spec}))
        assert await self.marked(client, made) == (None, None)
        done = await client.patch(storage_v1.VolumeAttachment, "a", {**self.changes, "status": {"attached": True}}, subresource="status")
        assert (done.status.attached, done.metadata.annotations) == (True, {})
