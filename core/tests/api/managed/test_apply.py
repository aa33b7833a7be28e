"""managedFields of ordinary writes, and server-side apply, as a client sees them."""

import msgspec
import pytest

from bareboat.client.client import checked

pytestmark = pytest.mark.virtual_time
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
CM = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.fixture
def apply(send):
    async def apply(path, tree, manager="m1", **query):
        return await send("PATCH", path, tree, APPLY, fieldManager=manager, **query)

    return apply


def configmap(data=None, **meta):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", **meta}, **({"data": data} if data is not None else {})}


def deployment(*containers, replicas=None, **spec):
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": list(containers)}}
    wanted = {"selector": {"matchLabels": {"app": "d"}}, "template": template, **spec}
    if replicas is not None:
        wanted["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": wanted}


def books(obj):
    return {(e["manager"], e["operation"], e.get("subresource", "")): e["fieldsV1"] for e in obj["metadata"].get("managedFields", [])}


class TestOrdinaryWrites:
    async def test_a_create_owns_what_it_sent_and_what_was_defaulted(self, send):
        _, made = await send("POST", CM, configmap({"k": "v"}, labels={"x": "y"}), fieldManager="creator")
        assert books(made) == {
            ("creator", "Update", ""): {
                "f:data": {".": {}, "f:k": {}},
                "f:metadata": {"f:labels": {".": {}, "f:x": {}}},
            }
        }
        entry = made["metadata"]["managedFields"][0]
        assert (entry["apiVersion"], entry["fieldsType"]) == ("v1", "FieldsV1")
        assert entry["time"]

    async def test_without_a_name_the_user_agent_is_the_manager(self, send):
        _, made = await send("POST", CM, configmap({"k": "v"}))
        assert [e["manager"] for e in made["metadata"]["managedFields"]] == ["admin"]

    async def test_an_update_takes_over_what_it_changes(self, send):
        await send("POST", CM, configmap({"k": "v", "l": "w"}), fieldManager="creator")
        _, changed = await send("PATCH", f"{CM}/a", {"data": {"k": "new"}}, MERGE, fieldManager="other")
        assert books(changed) == {
            ("creator", "Update", ""): {"f:data": {".": {}, "f:l": {}}},
            ("other", "Update", ""): {"f:data": {"f:k": {}}},
        }

    async def test_a_removed_field_is_owned_by_nobody(self, send):
        await send("POST", CM, configmap({"k": "v", "l": "w"}), fieldManager="creator")
        _, changed = await send("PATCH", f"{CM}/a", {"data": {"k": None}}, MERGE, fieldManager="other")
        assert books(changed) == {("creator", "Update", ""): {"f:data": {".": {}, "f:l": {}}}}

    async def test_a_write_of_nothing_new_is_no_write(self, send):
        _, made = await send("POST", CM, configmap({"k": "v"}), fieldManager="creator")
        _, same = await send("PATCH", f"{CM}/a", {"data": {"k": "v"}}, MERGE, fieldManager="other")
        assert same == made

    async def test_status_is_owned_through_its_subresource_only(self, send):
        await send("POST", DEPLOYMENTS, {**deployment({"name": "c", "image": "i"}), "status": {"replicas": 3}}, fieldManager="creator")
        _, shown = await send("PATCH", f"{DEPLOYMENTS}/d/status", {"status": {"replicas": 1}}, MERGE, fieldManager="controller")
        owned = books(shown)
        assert "f:status" not in owned["creator", "Update", ""]
        assert owned["controller", "Update", "status"] == {"f:status": {"f:replicas": {}}}

    async def test_books_thrown_away_stay_away(self, send):
        await send("POST", CM, configmap({"k": "v"}), fieldManager="creator")
        _, bare = await send("PATCH", f"{CM}/a", {"metadata": {"managedFields": [{}]}}, MERGE, fieldManager="x")
        assert books(bare) == {}
        _, changed = await send("PATCH", f"{CM}/a", {"data": {"k": "new"}}, MERGE, fieldManager="x")
        assert books(changed) == {}

    async def test_more_than_ten_updaters_become_ancient(self, send):
        await send("POST", CM, configmap({"k": "v"}), fieldManager="creator")
        for i in range(12):
            _, changed = await send("PATCH", f"{CM}/a", {"data": {f"k{i}": "v"}}, MERGE, fieldManager=f"m{i:02}")
        owned = books(changed)
        assert len(owned) == 10
        assert owned["ancient-changes", "Update", ""]["f:data"].keys() >= {"f:k", "f:k0"}

    @pytest.mark.parametrize(("name", "reason"), [("x" * 129, "FieldValueTooLong"), ("a\tb", "FieldValueInvalid")])
    async def test_a_manager_s_name_is_checked(self, send, name, reason):
        code, answer = await send("POST", CM, configmap({"k": "v"}), fieldManager=name)
        assert code == 422
        assert [(c["reason"], c["field"]) for c in answer["details"]["causes"]] == [(reason, "fieldManager")]


class TestApply:
    async def test_the_first_apply_makes_the_object(self, apply):
        code, made = await apply(f"{CM}/a", configmap({"k": "v"}))
        assert code == 201
        assert books(made) == {("m1", "Apply", ""): {"f:data": {"f:k": {}}}}

    async def test_the_same_again_is_no_write(self, apply):
        _, made = await apply(f"{CM}/a", configmap({"k": "v"}))
        code, same = await apply(f"{CM}/a", configmap({"k": "v"}))
        assert (code, same) == (200, made)

    async def test_what_is_applied_no_longer_goes(self, apply):
        await apply(f"{CM}/a", configmap({"k": "v", "l": "w"}))
        _, left = await apply(f"{CM}/a", configmap({"k": "v"}))
        assert left["data"] == {"k": "v"}

    async def test_what_somebody_else_owns_stays(self, apply):
        await apply(f"{CM}/a", configmap({"k": "v", "l": "w"}))
        await apply(f"{CM}/a", configmap({"l": "w"}), manager="m2")
        _, left = await apply(f"{CM}/a", configmap({"k": "v"}))
        assert left["data"] == {"k": "v", "l": "w"}
        assert books(left)["m2", "Apply", ""] == {"f:data": {"f:l": {}}}

    async def test_another_value_is_a_conflict_that_names_the_owner(self, send, apply):
        await send("POST", CM, configmap({"k": "v"}), fieldManager="creator")
        code, answer = await apply(f"{CM}/a", configmap({"k": "mine"}))
        assert (code, answer["reason"]) == (409, "Conflict")
        assert answer["message"] == 'Apply failed with 1 conflict: conflict with "creator" using v1: .data.k'
        assert answer["details"]["causes"] == [
            {"reason": "FieldManagerConflict", "message": 'conflict with "creator" using v1', "field": ".data.k"}
        ]

    async def test_force_takes_the_field(self, send, apply):
        await send("POST", CM, configmap({"k": "v"}), fieldManager="creator")
        code, taken = await apply(f"{CM}/a", configmap({"k": "mine"}), force="true")
        assert (code, taken["data"]) == (200, {"k": "mine"})
        assert books(taken) == {("m1", "Apply", ""): {"f:data": {"f:k": {}}}, ("creator", "Update", ""): {"f:data": {}}}

    async def test_the_same_value_is_shared(self, apply):
        await apply(f"{CM}/a", configmap({"k": "v"}))
        code, shared = await apply(f"{CM}/a", configmap({"k": "v"}), manager="m2")
        assert code == 200
        assert set(books(shared)) == {("m1", "Apply", ""), ("m2", "Apply", "")}

    async def test_items_of_keyed_lists_are_merged(self, apply):
        await apply(f"{DEPLOYMENTS}/d", deployment({"name": "c", "image": "i", "ports": [{"containerPort": 80}]}))
        side = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}
        side["spec"] = {"template": {"spec": {"containers": [{"name": "side", "image": "s"}]}}}
        _, both = await apply(f"{DEPLOYMENTS}/d", side, manager="m2")
        assert [c["name"] for c in both["spec"]["template"]["spec"]["containers"]] == ["c", "side"]
        _, one = await apply(f"{DEPLOYMENTS}/d", {**side, "spec": {}}, manager="m2")
        assert [c["name"] for c in one["spec"]["template"]["spec"]["containers"]] == ["c"]
        ports = books(one)["m1", "Apply", ""]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"c"}']["f:ports"]
        assert ports == {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}}

    async def test_sets_are_merged_by_value(self, apply):
        await apply(f"{CM}/a", configmap(finalizers=["example.com/a"]))
        _, both = await apply(f"{CM}/a", configmap(finalizers=["example.com/b"]), manager="m2")
        assert both["metadata"]["finalizers"] == ["example.com/a", "example.com/b"]
        _, one = await apply(f"{CM}/a", configmap())
        assert one["metadata"]["finalizers"] == ["example.com/b"]

    async def test_a_wrong_revision_is_a_conflict(self, apply):
        await apply(f"{CM}/a", configmap({"k": "v"}))
        code, answer = await apply(f"{CM}/a", configmap({"k": "w"}, resourceVersion="1"))
        assert (code, answer["reason"]) == (409, "Conflict")

    async def test_an_applied_uid_needs_its_object(self, apply):
        code, answer = await apply(f"{CM}/a", configmap({"k": "v"}, uid="0000"))
        assert (code, answer["reason"]) == (409, "Conflict")

    @pytest.mark.parametrize(
        ("tree", "code", "part"),
        [
            ({"apiVersion": "v1", "kind": "ConfigMap", "wrong": 1}, 500, ".wrong: field not declared in schema"),
            ({"apiVersion": "v1", "kind": "Secret"}, 400, "invalid object type"),
            ({"apiVersion": "v1", "kind": "ConfigMap", "data": [1]}, 500, ".data: expected map"),
            ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"managedFields": []}}, 400, "metadata.managedFields must be nil"),
        ],
    )
    async def test_a_configuration_of_another_shape_is_refused(self, apply, tree, code, part):
        found, answer = await apply(f"{CM}/a", tree)
        assert found == code
        assert part in answer["message"]

    async def test_it_needs_a_manager(self, send):
        code, answer = await send("PATCH", f"{CM}/a", configmap(), APPLY)
        assert (code, answer["details"]["causes"][0]["field"]) == (422, "fieldManager")

    async def test_only_apply_can_be_forced(self, send):
        code, answer = await send("PATCH", f"{CM}/a", {}, MERGE, force="true")
        assert (code, answer["details"]["causes"][0]["field"]) == (422, "force")

    async def test_status_is_applied_through_its_subresource(self, apply):
        await apply(f"{DEPLOYMENTS}/d", deployment({"name": "c", "image": "i"}))
        tree = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "d"},
            "status": {"replicas": 2},
            "spec": {"replicas": 9},
        }
        code, shown = await apply(f"{DEPLOYMENTS}/d/status", tree, manager="s")
        assert (code, shown["status"]["replicas"], shown["spec"]["replicas"]) == (200, 2, 1)
        assert books(shown)["s", "Apply", "status"] == {"f:status": {"f:replicas": {}}}


class TestScale:
    async def test_scaling_takes_over_replicas(self, send, apply):
        await apply(f"{DEPLOYMENTS}/d", deployment({"name": "c", "image": "i"}, replicas=1))
        code, scale = await send("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 3}}, MERGE, fieldManager="hpa")
        assert (code, scale["spec"]["replicas"]) == (200, 3)
        _, obj = await send("GET", f"{DEPLOYMENTS}/d")
        assert books(obj)["hpa", "Update", "scale"] == {"f:spec": {"f:replicas": {}}}
        code, answer = await apply(f"{DEPLOYMENTS}/d", deployment({"name": "c", "image": "i"}, replicas=1))
        assert code == 409
        assert 'conflict with "hpa" with subresource "scale" using apps/v1: .spec.replicas' in answer["message"]

    async def test_a_scale_can_be_applied(self, apply, send):
        await apply(f"{DEPLOYMENTS}/d", deployment({"name": "c", "image": "i"}))
        tree = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 4}}
        code, scale = await apply(f"{DEPLOYMENTS}/d/scale", tree, manager="s")
        assert (code, scale["spec"]["replicas"]) == (200, 4)
        _, obj = await send("GET", f"{DEPLOYMENTS}/d")
        assert books(obj)["s", "Apply", "scale"] == {"f:spec": {"f:replicas": {}}}


class TestMigration:
    async def test_kubectl_takes_over_from_client_side_apply(self, send, apply):
        last = msgspec.json.encode(configmap({"k": "v"})).decode()
        notes = {"kubectl.kubernetes.io/last-applied-configuration": last}
        await send("POST", CM, configmap({"k": "v"}, annotations=notes), fieldManager="kubectl-client-side-apply")
        code, _ = await apply(f"{CM}/a", configmap({"k": "w"}), manager="other")
        assert code == 409
        code, taken = await apply(f"{CM}/a", configmap({"k": "w"}), manager="kubectl")
        assert (code, taken["data"]) == (200, {"k": "w"})
        again = msgspec.json.decode(taken["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"])
        assert again == configmap({"k": "w"})

    async def test_an_object_without_books_belonged_to_somebody_before(self, send, apply):
        await send("POST", CM, configmap({"k": "v"}), fieldManager="creator")
        await send("PATCH", f"{CM}/a", {"metadata": {"managedFields": [{}]}}, MERGE)
        code, answer = await apply(f"{CM}/a", configmap({"k": "w"}))
        assert code == 409
        assert '"before-first-apply"' in answer["message"]

    async def test_the_last_label_that_is_named_no_longer_takes_no_more_than_itself(self, apply):
        await apply(f"{CM}/a", configmap(labels={"l": "m"}))
        code, answer = await apply(f"{CM}/a", configmap())
        assert code == 200
        assert answer["metadata"]["name"] == "a"
        assert "labels" not in answer["metadata"]


async def test_checked_client_errors_carry_the_conflicts(kernel, send, apply):
    await send("POST", CM, configmap({"k": "v"}), fieldManager="creator")
    answer = await kernel.client.transport.request(
        "PATCH", f"{CM}/a", query={"fieldManager": "x"}, body=msgspec.json.encode(configmap({"k": "w"})), content_type=APPLY
    )
    with pytest.raises(Exception, match="1 conflict") as caught:
        checked(answer)
    assert [c.field for c in caught.value.causes] == [".data.k"]


async def test_keys_that_come_twice_are_refused_or_warned_of(kernel):
    body = b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "1", "k": "2"}}'

    async def apply(validation):
        query = {"fieldManager": "x", "fieldValidation": validation}
        return await kernel.client.transport.request("PATCH", f"{CM}/a", query=query, body=body, content_type=APPLY)

    strict = await apply("Strict")
    said = 'error converting YAML to JSON: yaml: unmarshal errors:\n  line 1: key "k" already set in map'
    assert (strict.status, msgspec.json.decode(strict.body)["message"]) == (400, f"error strict decoding YAML: {said}")
    assert (await apply("Warn")).status == 201
