"""Decoding and encoding: canonical form and presence."""

import msgspec
import pytest

from bareboat.models import apiextensions_v1, apps_v1, codec, core_v1, events_v1, meta_v1, rbac_v1, resource_v1


def canonical(cls, text):
    return codec.encode(codec.decode(cls, text.encode())).decode()


def test_kind_and_api_version_come_first_and_empty_fields_are_left_out():
    assert codec.encode(core_v1.ConfigMap()) == b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{}}'
    assert codec.encode(core_v1.Container(name="c")) == b'{"name":"c","resources":{}}'


def test_fields_are_written_in_the_order_of_upstream():
    assert (
        canonical(core_v1.ContainerPort, '{"protocol":"TCP","containerPort":80,"name":"http"}')
        == '{"name":"http","containerPort":80,"protocol":"TCP"}'
    )


def test_an_empty_list_that_must_be_written_is_null_and_stays_a_list_in_hand():
    role = codec.decode(rbac_v1.Role, b'{"rules":[]}')
    assert codec.encode(role).endswith(b'"rules":null}')
    assert role.rules == []


def test_an_empty_list_object_keeps_its_brackets():
    assert codec.encode(core_v1.PodList()).endswith(b'"items":[]}')


def test_empty_brackets_in_free_form_fields_stay():
    revision = codec.decode(apps_v1.ControllerRevision, b'{"data":{"rules":[],"a":null},"revision":1}')
    assert b'"data":{"rules":[],"a":null}' in codec.encode(revision)


def test_null_lists_are_found_at_any_depth():
    text = '{"matchConditions":null,"spec":{"template":{"spec":{"containers":[],"topologySpreadConstraints":[]}}}}'
    written = canonical(apps_v1.Deployment, text)
    assert '"containers":null' in written
    assert "topologySpreadConstraints" not in written


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ('{"replicas":0}', '"replicas":0'),
        ('{"replicas":null}', "{"),
        ('{"paused":false}', "{"),
    ],
)
def test_pointers_keep_zeros_and_values_drop_them(sent, stored):
    written = canonical(apps_v1.DeploymentSpec, sent)
    assert stored in written
    assert "paused" not in written
    assert ("replicas" in written) == (stored != "{")


def test_quantities_become_canonical_text():
    text = '{"requests":{"cpu":0.5,"memory":"1024Mi","pods":3,"x":"1e3"}}'
    assert canonical(core_v1.ResourceRequirements, text) == '{"requests":{"cpu":"500m","memory":"1Gi","pods":"3","x":"1e3"}}'


def test_times_become_utc_without_fractions():
    meta = codec.decode(meta_v1.ObjectMeta, b'{"creationTimestamp":"2026-01-02T03:04:05.678+01:00"}')
    assert meta.creationTimestamp == "2026-01-02T02:04:05Z"


def test_unset_times_are_null_except_the_creation_time():
    assert b'"eventTime":null' in codec.encode(events_v1.Event())
    assert codec.encode(meta_v1.ObjectMeta()) == b"{}"
    assert codec.decode(meta_v1.ObjectMeta, b'{"creationTimestamp":null}').creationTimestamp is None


def test_int_or_string_keeps_what_it_is():
    assert canonical(core_v1.ServicePort, '{"port":80,"targetPort":"http"}') == '{"port":80,"targetPort":"http"}'
    assert canonical(core_v1.ServicePort, '{"port":80}') == '{"port":80,"targetPort":0}'


def test_nulls_are_zeros_everywhere():
    text = """{"metadata":{"name":null,"labels":{"a":null},"finalizers":null},
               "spec":{"containers":[{"name":"c","args":[null],"env":null,"resources":{"limits":{"cpu":null}}}],"hostNetwork":null},"status":null}"""
    pod = codec.decode(core_v1.Pod, text.encode())
    assert pod.metadata.name == ""
    assert pod.metadata.labels == {"a": ""}
    assert pod.spec.containers[0].args == [""]
    assert pod.spec.containers[0].resources.limits == {"cpu": "0"}
    assert pod.status == core_v1.PodStatus()


def test_base64_is_checked_and_freed_of_line_breaks():
    assert codec.decode(core_v1.Secret, b'{"data":{"a":"YWJj\\nZGVm"}}').data == {"a": "YWJjZGVm"}
    assert codec.decode(core_v1.Secret, b'{"data":{"a":[97,98,99]}}').data == {"a": "YWJj"}
    with pytest.raises(codec.DecodeError, match="illegal base64 data at input byte 3"):
        codec.decode(core_v1.Secret, b'{"data":{"a":"YWJ!"}}')


def test_schemas_may_be_booleans_lists_or_schemas():
    text = (
        '{"additionalProperties":true,"items":{"type":"string"},"dependencies":{"a":["b"]},"maximum":1,"minimum":0.5,"default":{"a":null}}'
    )
    props = codec.decode(apiextensions_v1.JSONSchemaProps, text.encode())
    assert props.additionalProperties is True
    assert isinstance(props.items, apiextensions_v1.JSONSchemaProps)
    assert codec.to_tree(props) == msgspec.json.decode(text)


def test_a_field_named_like_a_builtin_works():
    attribute = codec.decode(resource_v1.DeviceAttribute, b'{"int":5}')
    assert attribute.int == 5
    assert codec.encode(attribute) == b'{"int":5}'


def test_a_copy_shares_nothing_and_equals():
    pod = core_v1.Pod(spec=core_v1.PodSpec(containers=[core_v1.Container(name="c")]))
    twin = codec.copy(pod)
    assert twin == pod
    twin.spec.containers[0].name = "d"
    assert pod.spec.containers[0].name == "c"


def test_trees_go_both_ways():
    tree = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"k": "v"}}
    assert codec.to_tree(codec.from_tree(core_v1.ConfigMap, tree)) == tree
    with pytest.raises(codec.DecodeError, match=r"ConfigMap\.data of type string"):
        codec.from_tree(core_v1.ConfigMap, {"data": {"k": 1}})


def test_a_stored_row_without_kind_decodes_to_the_whole_object():
    assert codec.decode(core_v1.Pod, b'{"metadata":{"name":"a"}}').kind == "Pod"


def test_lone_surrogates_and_broken_utf8_become_the_replacement_character():
    assert codec.decode(core_v1.ConfigMap, b'{"data":{"a":"x\\ud800y"}}').data == {"a": "x\ufffdy"}
    assert codec.decode(core_v1.ConfigMap, b'{"data":{"a":"x\xffy"}}').data == {"a": "x\ufffdy"}


@pytest.mark.parametrize("opening", [b'{"data":', b'{"unknown":'])
def test_endless_nesting_is_refused(opening):
    with pytest.raises(codec.DecodeError, match="exceeded max depth"):
        codec.decode(apps_v1.ControllerRevision, opening + b"[" * 100_000 + b"]" * 100_000 + b"}")
