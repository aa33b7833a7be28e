"""The verbs on a kernel in memory: what a client sees of objects, versions, watches, patches and deletes."""

import asyncio

import msgspec
import pytest
from core.tests.api.objects import configmap, pod

from bareboat.api.request import ApiRequest
from bareboat.contracts.auth import UserInfo
from bareboat.models import apps_v1, core_v1, meta_v1
from bareboat.models.codec import from_tree
from bareboat.models.status import AlreadyExists, ApiError, BadRequest, Conflict, Gone, Invalid, NotFound
from bareboat.testing.kernel import ADMIN

pytestmark = pytest.mark.virtual_time


class TestCreate:
    async def test_it_gets_identity_and_defaults(self, client):
        made = await client.create(pod())
        assert made.metadata.uid
        assert made.metadata.resourceVersion
        assert made.spec.restartPolicy == "Always"
        assert made.spec.containers[0].imagePullPolicy == "Always"
        assert made.status.phase == "Pending"
        assert made.status.qosClass == "BestEffort"
        assert await client.get(core_v1.Pod, "p", "default") == made

    async def test_twice_the_same_name_is_a_conflict(self, client):
        await client.create(configmap())
        with pytest.raises(AlreadyExists, match='configmaps "a" already exists'):
            await client.create(configmap())

    async def test_a_generated_name_is_unique(self, client):
        names = set()
        for _ in range(5):
            made = await client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(generateName="cm-", namespace="default")))
            names.add(made.metadata.name)
        assert len(names) == 5

    async def test_a_generated_name_that_is_taken_is_made_again_from_the_same_body(self, kernel, monkeypatch):
        ends = iter(["aaaaa", "aaaaa", "aaaaa", "bbbbb"])
        monkeypatch.setattr(kernel.ids, "suffix", lambda _: next(ends))
        body = b'{"metadata":{"generateName":"p-","unknown":1},"spec":{"containers":[{"name":"c","image":"i"}]}}'
        made = []
        for _ in range(2):
            request = ApiRequest(ADMIN, "POST", "/api/v1/namespaces/default/pods", {}, body, "application/json")
            answer = await kernel.service.handle(request)
            assert (answer.status, answer.warnings) == (201, ['unknown field "metadata.unknown"'])
            made.append(msgspec.json.decode(answer.body))
        assert [tree["metadata"]["name"] for tree in made] == ["p-aaaaa", "p-bbbbb"]
        assert made[0]["spec"] == made[1]["spec"]
        assert made[0]["metadata"]["uid"] != made[1]["metadata"]["uid"]

    async def test_a_name_that_is_never_free_is_a_conflict(self, client, kernel, monkeypatch):
        monkeypatch.setattr(kernel.ids, "suffix", lambda _: "aaaaa")
        wanted = core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(generateName="cm-", namespace="default"))
        await client.create(wanted)
        with pytest.raises(AlreadyExists, match="cm-aaaaa"):
            await client.create(wanted)

    async def test_an_invalid_name_names_the_field(self, client):
        with pytest.raises(Invalid) as caught:
            await client.create(configmap("Not_Valid"))
        assert caught.value.causes[0].field == "metadata.name"

    async def test_a_selector_that_cannot_be_read_names_the_field(self, client):
        selector = {"matchExpressions": [{"key": "a", "operator": "Near", "values": ["b"]}]}
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "host"}]}}
        tree = {"metadata": {"name": "d", "namespace": "default"}, "spec": {"selector": selector, "template": template}}
        with pytest.raises(Invalid) as caught:
            await client.create(from_tree(apps_v1.Deployment, tree))
        assert caught.value.causes[0].field == "spec.selector.matchExpressions[0].operator"

    async def test_a_dry_run_changes_nothing(self, client, kernel):
        before = kernel.log.head
        made = await client.create(configmap(), dry_run=True)
        assert made.metadata.uid
        assert kernel.log.head == before
        with pytest.raises(NotFound):
            await client.get(core_v1.ConfigMap, "a", "default")

    @pytest.mark.parametrize(
        ("body", "content_type", "code"),
        [
            (b"{", "application/json", 400),
            (b'{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"}}', "application/json", 400),
            (b'{"metadata":{"name":"x"},"data":{"a":1}}', "application/json", 400),
            (b"x" * (3 * 1024 * 1024 + 1), "application/json", 413),
            (b"<a/>", "application/xml", 415),
        ],
    )
    async def test_a_body_that_cannot_be_used_is_refused(self, client, body, content_type, code):
        answer = await client.transport.request("POST", "/api/v1/namespaces/default/configmaps", body=body, content_type=content_type)
        assert answer.status == code
        assert msgspec.json.decode(answer.body)["kind"] == "Status"

    async def test_unknown_and_duplicate_fields_are_refused_when_strict_and_warned_of_otherwise(self, client):
        body = b'{"metadata":{"name":"x"},"dta":{},"data":{"a":"1"},"data":{"a":"2"}}'
        path = "/api/v1/namespaces/default/configmaps"
        strict = await client.transport.request("POST", path, query={"fieldValidation": "Strict"}, body=body)
        assert strict.status == 400
        assert b'unknown field \\"dta\\"' in strict.body
        assert b'duplicate field \\"data\\"' in strict.body
        assert (await client.transport.request("POST", path, body=body)).status == 201

    async def test_who_uses_what_is_deprecated_is_told_so_by_every_verb(self, kernel):
        path = "/api/v1/namespaces/default/endpoints"
        for method, body, status in (("GET", b"", 200), ("POST", b'{"metadata": {"name": "A"}}', 422)):
            answer = await kernel.service.handle(ApiRequest(UserInfo(name="u"), method, path, body=body, content_type="application/json"))
            assert (answer.status, answer.warnings) == (
                status,
                ["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"],
            )

    async def test_yaml_is_taken(self, client):
        body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata: {a: '1'}\n"
        answer = await client.transport.request("POST", "/api/v1/namespaces/default/configmaps", body=body, content_type="application/yaml")
        assert answer.status == 201


class TestUpdate:
    async def test_a_stale_revision_is_a_conflict(self, client):
        first = await client.create(configmap())
        changed = msgspec.structs.replace(first, data={"x": "1"})
        await client.update(changed)
        with pytest.raises(Conflict, match="the object has been modified"):
            await client.update(msgspec.structs.replace(first, data={"x": "2"}))

    async def test_without_a_revision_the_last_writer_wins(self, client):
        await client.create(configmap())
        made = await client.update(configmap(x="9"))
        assert made.data == {"x": "9"}

    async def test_writing_the_same_again_changes_nothing(self, client):
        first = await client.create(configmap(x="1"))
        assert (await client.update(configmap(x="1"))).metadata.resourceVersion == first.metadata.resourceVersion

    async def test_the_status_is_written_apart_from_the_spec(self, client):
        made = await client.create(pod())
        made.status.phase = "Running"
        made.spec.activeDeadlineSeconds = 5
        after = await client.update(made, subresource="status")
        assert after.status.phase == "Running"
        assert after.spec.activeDeadlineSeconds is None
        after.status.phase = "Failed"
        after = await client.update(after)
        assert after.status.phase == "Running"

    async def test_a_pod_keeps_what_may_not_change(self, client):
        made = await client.create(pod())
        made.spec.nodeName = "n1"
        with pytest.raises(Invalid) as caught:
            await client.update(made)
        assert caught.value.causes[0].field == "spec"

    async def test_the_generation_counts_changes_of_the_spec(self, client):
        deployment = from_tree(
            apps_v1.Deployment,
            {
                "metadata": {"name": "d", "namespace": "default"},
                "spec": {
                    "selector": {"matchLabels": {"a": "b"}},
                    "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "host"}]}},
                },
            },
        )
        made = await client.create(deployment)
        assert made.metadata.generation == 1
        made = await client.patch(apps_v1.Deployment, "d", {"metadata": {"labels": {"x": "y"}}}, "default")
        assert made.metadata.generation == 1
        made = await client.patch(apps_v1.Deployment, "d", {"spec": {"replicas": 3}}, "default")
        assert made.metadata.generation == 2


class TestPatch:
    async def test_merge_json_and_strategic(self, client):
        await client.create(pod(containers=[{"name": "c", "image": "host"}, {"name": "d", "image": "host"}]))
        made = await client.patch(core_v1.Pod, "p", {"metadata": {"labels": {"app": None, "b": "1"}}}, "default")
        assert made.metadata.labels == {"b": "1"}
        made = await client.patch(
            core_v1.Pod,
            "p",
            [{"op": "test", "path": "/metadata/labels/b", "value": "1"}, {"op": "add", "path": "/metadata/labels/c", "value": "2"}],
            "default",
            type="json",
        )
        assert made.metadata.labels == {"b": "1", "c": "2"}
        patch = {"spec": {"containers": [{"name": "d", "image": "host:2"}]}}
        made = await client.patch(core_v1.Pod, "p", patch, "default", type="strategic")
        assert [(c.name, c.image) for c in made.spec.containers] == [("c", "host"), ("d", "host:2")]

    async def test_a_failed_test_is_unprocessable(self, client):
        await client.create(configmap(x="1"))
        with pytest.raises(ApiError) as caught:
            await client.patch(core_v1.ConfigMap, "a", [{"op": "test", "path": "/data/x", "value": "2"}], "default", type="json")
        assert caught.value.code == 422

    async def test_concurrent_patches_all_apply(self, client):
        await client.create(configmap())
        await asyncio.gather(*(client.patch(core_v1.ConfigMap, "a", {"data": {f"k{i}": "v"}}, "default") for i in range(15)))
        assert len((await client.get(core_v1.ConfigMap, "a", "default")).data) == 15

    async def test_with_a_stale_revision_it_is_a_conflict(self, client):
        first = await client.create(configmap())
        await client.patch(core_v1.ConfigMap, "a", {"data": {"x": "1"}}, "default")
        with pytest.raises(Conflict):
            patch = {"metadata": {"resourceVersion": first.metadata.resourceVersion}, "data": {"x": "2"}}
            await client.patch(core_v1.ConfigMap, "a", patch, "default")

    async def test_what_is_no_patch_is_refused(self, client):
        await client.create(configmap())
        path = "/api/v1/namespaces/default/configmaps/a"
        assert (await client.transport.request("PATCH", path, body=b"{}", content_type="text/plain")).status == 415
        bad = await client.transport.request("PATCH", path, body=b"[]", content_type="application/merge-patch+json")
        assert bad.status == 400

    @pytest.mark.parametrize("patch", [{"metadata": 1}, {"metadata": []}, {"metadata": {"labels": 3}}, {"data": {"a": {}}}])
    async def test_a_patch_that_makes_no_object_is_the_clients_fault(self, client, patch):
        await client.create(configmap())
        for kind in ("merge", "strategic"):
            with pytest.raises(ApiError) as caught:
                await client.patch(core_v1.ConfigMap, "a", patch, "default", type=kind)
            assert 400 <= caught.value.code < 500

    @pytest.mark.parametrize(("kind", "status"), [("merge", 422), ("strategic-merge", 200)])
    async def test_makes_no_other_kind_of_an_object(self, client, kind, status):
        await client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="k", namespace="default")))
        path, media = "/api/v1/namespaces/default/configmaps/k", f"application/{kind}-patch+json"
        answer = await client.transport.request("PATCH", path, body=b'{"kind":"Secret"}', content_type=media)
        assert answer.status == status
        assert (await client.get(core_v1.ConfigMap, "k", "default")).kind == "ConfigMap"


class TestDelete:
    async def test_it_is_gone(self, client):
        await client.create(configmap())
        await client.delete(core_v1.ConfigMap, "a", "default")
        with pytest.raises(NotFound, match='configmaps "a" not found'):
            await client.delete(core_v1.ConfigMap, "a", "default")

    async def test_preconditions_are_checked(self, client):
        await client.create(configmap())
        with pytest.raises(Conflict, match="Precondition failed: UID"):
            await client.delete(core_v1.ConfigMap, "a", "default", uid="other")

    async def test_a_finalizer_holds_it_until_it_is_taken_away(self, client):
        made = configmap()
        made.metadata.finalizers = ["example.com/hold"]
        await client.create(made)
        await client.delete(core_v1.ConfigMap, "a", "default")
        held = await client.get(core_v1.ConfigMap, "a", "default")
        assert held.metadata.deletionTimestamp
        with pytest.raises(Invalid):
            await client.patch(core_v1.ConfigMap, "a", {"metadata": {"finalizers": ["example.com/hold", "example.com/new"]}}, "default")
        await client.patch(core_v1.ConfigMap, "a", {"metadata": {"finalizers": []}}, "default")
        with pytest.raises(NotFound):
            await client.get(core_v1.ConfigMap, "a", "default")

    async def test_a_bound_pod_waits_for_its_agent(self, client):
        await client.create(pod(nodeName="n1"))
        await client.delete(core_v1.Pod, "p", "default")
        going = await client.get(core_v1.Pod, "p", "default")
        assert going.metadata.deletionGracePeriodSeconds == 30
        await client.delete(core_v1.Pod, "p", "default", grace_seconds=0)
        with pytest.raises(NotFound):
            await client.get(core_v1.Pod, "p", "default")

    async def test_an_unbound_pod_goes_at_once(self, client):
        await client.create(pod())
        await client.delete(core_v1.Pod, "p", "default")
        with pytest.raises(NotFound):
            await client.get(core_v1.Pod, "p", "default")

    async def test_propagation_becomes_a_finalizer(self, client):
        await client.create(configmap())
        await client.delete(core_v1.ConfigMap, "a", "default", propagation="Foreground")
        assert (await client.get(core_v1.ConfigMap, "a", "default")).metadata.finalizers == ["foregroundDeletion"]

    async def test_a_collection_goes_by_selector(self, client):
        for i in range(4):
            await client.create(configmap(f"c{i}", labels={"odd": str(i % 2)}))
        await client.delete_collection(core_v1.ConfigMap, "default", labels="odd=1")
        assert [c.metadata.name for c in (await client.list(core_v1.ConfigMap, "default")).items] == ["c0", "c2"]

    async def test_a_namespace_becomes_terminating(self, client):
        await client.delete(core_v1.Namespace, "default")
        assert (await client.get(core_v1.Namespace, "default")).status.phase == "Terminating"


class TestList:
    async def test_selectors_and_namespaces(self, client):
        await client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="other")))
        await client.create(pod("a", labels={"x": "1"}, nodeName="n1"))
        await client.create(pod("b", labels={"x": "2"}))
        await client.create(pod("c", namespace="other", labels={"x": "1"}))

        async def names(namespace=None, **selectors):
            return [p.metadata.name for p in (await client.list(core_v1.Pod, namespace, **selectors)).items]

        assert await names() == ["a", "b", "c"]
        assert await names("default") == ["a", "b"]
        assert await names(labels="x=1") == ["a", "c"]
        assert await names(labels="x in (2),x!=1") == ["b"]
        assert await names(fields="spec.nodeName=n1") == ["a"]
        assert await names(fields="spec.nodeName=") == ["b", "c"]
        assert await names("default", fields="metadata.name=b") == ["b"]
        with pytest.raises(BadRequest, match="field label not supported"):
            await names(fields="spec.colour=blue")

    async def test_pages_are_of_one_revision(self, client):
        for i in range(7):
            await client.create(configmap(f"c{i}"))
        first = await client.list(core_v1.ConfigMap, "default", limit=3)
        await client.delete(core_v1.ConfigMap, "c5", "default")
        await client.create(configmap("c9"))
        second = await client.list(core_v1.ConfigMap, "default", limit=3, continue_=first.continue_)
        third = await client.list(core_v1.ConfigMap, "default", limit=3, continue_=second.continue_)
        names = [c.metadata.name for page in (first, second, third) for c in page.items]
        assert names == [f"c{i}" for i in range(7)]
        assert first.resource_version == third.resource_version

    async def test_as_a_table(self, client):
        await client.create(pod())
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
        answer = await client.transport.request("GET", "/api/v1/namespaces/default/pods", accept=accept)
        table = msgspec.json.decode(answer.body)
        assert [c["name"] for c in table["columnDefinitions"][:5]] == ["Name", "Ready", "Status", "Restarts", "Age"]
        assert table["rows"][0]["cells"][:4] == ["p", "0/1", "Pending", 0] or table["rows"][0]["cells"][:4] == ["p", "0/1", "Pending", "0"]


class TestWatch:
    async def collect(self, client, count, **options):
        seen = []
        async with asyncio.timeout(100):
            async for event in client.watch(core_v1.ConfigMap, "default", **options):
                seen.append((event.type, event.object.metadata.name if event.object else ""))
                if len(seen) == count:
                    break
        return seen

    async def test_everything_from_a_revision_on(self, client):
        start = await client.list(core_v1.ConfigMap, "default")
        await client.create(configmap())
        await client.patch(core_v1.ConfigMap, "a", {"data": {"x": "1"}}, "default")
        await client.delete(core_v1.ConfigMap, "a", "default")
        seen = await self.collect(client, 3, resource_version=start.resource_version)
        assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]

    async def test_an_object_that_stops_matching_is_deleted_for_the_watcher(self, client):
        start = await client.list(core_v1.ConfigMap, "default")
        await client.create(configmap(labels={"x": "1"}))
        await client.create(configmap("b"))
        await client.patch(core_v1.ConfigMap, "a", {"metadata": {"labels": {"x": "2"}}}, "default")
        await client.patch(core_v1.ConfigMap, "b", {"metadata": {"labels": {"x": "1"}}}, "default")
        seen = await self.collect(client, 3, resource_version=start.resource_version, labels="x=1")
        assert seen == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "b")]

    async def test_streaming_lists_end_with_a_bookmark(self, client):
        await client.create(configmap())
        assert await self.collect(client, 2, send_initial=True) == [("ADDED", "a"), ("BOOKMARK", "")]

    async def test_bookmarks_come_while_nothing_happens(self, client):
        start = await client.list(core_v1.ConfigMap, "default")
        assert await self.collect(client, 1, resource_version=start.resource_version) == [("BOOKMARK", "")]

    async def test_a_revision_that_is_gone_is_410(self, client, kernel):
        kernel.log.compacted = 100
        with pytest.raises(Gone):
            await self.collect(client, 1, resource_version="1")


async def test_events_are_gone_after_the_time_that_the_cluster_file_says(kernel, client):
    kernel.service.event_seconds = 60.0
    involved = core_v1.ObjectReference(kind="Pod", namespace="default", name="p")
    event = core_v1.Event(metadata=meta_v1.ObjectMeta(name="e", namespace="default"), involvedObject=involved, reason="Tested")
    await client.create(event)
    await asyncio.sleep(45)
    assert (await client.get(core_v1.Event, "e", "default")).reason == "Tested"
    await asyncio.sleep(30)
    with pytest.raises(NotFound):
        await client.get(core_v1.Event, "e", "default")
