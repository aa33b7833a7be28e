"""The generated types: what their zero values are and how they are named."""

import subprocess
import sys

import pytest

from bareboat.models import apiextensions_v1, apps_v1, core_v1, definitions, meta_v1, networking_v1, resource_v1, scheme


def test_a_new_object_knows_its_kind_and_has_no_nones_where_go_has_values():
    pod = core_v1.Pod()
    assert (pod.kind, pod.apiVersion) == ("Pod", "v1")
    assert pod.metadata.name == ""
    assert pod.spec.containers == []
    assert pod.spec.nodeSelector == {}
    assert pod.spec.hostNetwork is False
    assert pod.status.podIP == ""
    assert pod.spec.securityContext is None
    assert apps_v1.Deployment().spec.replicas is None


def test_zero_values_are_not_shared_between_objects():
    one, other = core_v1.Pod(), core_v1.Pod()
    one.metadata.labels["a"] = "b"
    one.spec.containers.append(core_v1.Container(name="c"))
    assert other.metadata.labels == {}
    assert other.spec.containers == []


def test_python_keywords_and_signs_are_renamed():
    assert "from_" in networking_v1.NetworkPolicyIngressRule.__struct_fields__
    assert "continue_" in meta_v1.ListMeta.__struct_fields__
    assert {"ref", "schema", "not_", "x_kubernetes_list_type"} <= set(apiextensions_v1.JSONSchemaProps.__struct_fields__)
    assert {"int", "bool", "string", "version"} <= set(resource_v1.DeviceAttribute.__struct_fields__)


@pytest.mark.parametrize("resource", scheme.Scheme.builtin().resources(), ids=lambda resource: f"{resource.api_version}/{resource.plural}")
def test_every_served_resource_has_its_type(resource):
    assert resource.type is not None
    new = resource.type()
    assert (new.kind, new.apiVersion) == (resource.kind, resource.api_version)


def test_nothing_is_loaded_before_it_is_asked_for():
    code = (
        "import sys, bareboat.models.codec, bareboat.models.scheme as s; s.Scheme.builtin(); print([m for m in sys.modules if '_v1' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_descriptions_are_read_when_asked_for_and_not_kept():
    openapi = definitions.openapi("core_v1")
    assert openapi["Pod"]["description"].startswith("Pod is")
    assert openapi["Pod"]["properties"]["kind"]["type"] == "string"
    assert "enum" not in openapi["Pod"]["properties"]["kind"]
    assert openapi["Pod"]["x-name"] == "io.k8s.api.core.v1.Pod"
    assert "zipfile" in sys.modules
    assert definitions.openapi("core_v1") is not openapi
