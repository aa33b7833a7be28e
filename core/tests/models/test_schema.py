"""Structural facts of types."""

import pytest

from bareboat.models import core_v1, definitions, meta_v1, schema


def test_list_types_and_merge_keys_are_known():
    ports = schema.of(core_v1.ServiceSpec).by_name["ports"]
    assert (ports.kind, ports.item, ports.list_type, ports.map_keys) == ("list", "core_v1.ServicePort", "map", ("port", "protocol"))
    assert (ports.merge_key, ports.patch_strategy) == ("port", "merge")
    assert ports.type is schema.of(core_v1.ServicePort)
    assert schema.of(core_v1.PodSpec).by_name["volumes"].patch_strategy == "merge,retainKeys"
    assert schema.of(meta_v1.LabelSelector).map_type == "atomic"


def test_presence_and_go_types_are_known():
    spec = schema.of(core_v1.PodSpec).by_name
    assert spec["containers"].always
    assert spec["terminationGracePeriodSeconds"].pointer
    assert spec["restartPolicy"].go_type == "RestartPolicy"
    assert schema.of(core_v1.Volume).by_name["hostPath"].inlined == ("VolumeSource",)


def test_only_types_of_the_models_have_a_schema():
    with pytest.raises(KeyError):
        schema.of(dict)


@pytest.mark.parametrize("module", definitions.modules())
def test_schema_and_class_agree(module):
    for name in definitions.facts(module):
        kind = schema.by_key(f"{module}.{name}")
        assert tuple(field.attr for field in kind) == kind.cls.__struct_fields__
        assert tuple(field.json_name for field in kind) == kind.cls.__struct_encode_fields__
        for field in kind:
            assert field.type is None or field.type.cls is not None
