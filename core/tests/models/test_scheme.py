"""The scheme: which resources there are and how they are found."""

import dataclasses

import pytest

from bareboat.models import apps_v1, authentication_v1, autoscaling_v2, core_v1, meta_v1, policy_v1
from bareboat.models.scheme import Resource, Scheme, type_of


@pytest.fixture
def scheme():
    return Scheme.builtin()


def test_resources_are_found_by_path_kind_and_type(scheme):
    found = scheme.resource("apps", "v1", "deployments")
    assert found is scheme.by_kind("apps/v1", "Deployment")
    assert found is scheme.by_type(apps_v1.Deployment)
    assert found.type is apps_v1.Deployment
    assert (found.api_version, found.path_prefix, found.key) == ("apps/v1", "/apis/apps/v1", "apps/deployments")
    assert (found.singular, found.list_kind, found.short_names, found.categories) == ("deployment", "DeploymentList", ("deploy",), ("all",))
    assert scheme.resource("apps", "v1", "nothings") is None


def test_the_core_group_has_its_own_path_and_key(scheme):
    pods = scheme.by_type(core_v1.Pod)
    assert (pods.api_version, pods.path_prefix, pods.key) == ("v1", "/api/v1", "core/pods")
    assert pods.namespaced
    assert not scheme.by_type(core_v1.Node).namespaced


def test_subresources_name_the_kind_that_they_take(scheme):
    subresources = scheme.by_type(core_v1.Pod).subresources
    assert (subresources["eviction"].group, subresources["eviction"].kind) == ("policy", "Eviction")
    assert (subresources["status"].version, subresources["status"].verbs) == ("v1", ("get", "patch", "update"))


def test_there_are_all_built_in_resources(scheme):
    assert len(scheme.resources()) == 68


def test_kinds_with_two_versions_share_one_storage(scheme):
    assert scheme.storage("autoscaling", "horizontalpodautoscalers").type is autoscaling_v2.HorizontalPodAutoscaler
    assert scheme.storage("events.k8s.io", "events").key == "core/events"
    with pytest.raises(KeyError):
        scheme.storage("apps", "nothings")


def test_resources_come_and_go(scheme):
    widget = Resource(group="example.com", version="v1", kind="Widget", plural="widgets", singular="widget", namespaced=True)
    scheme.add(widget)
    assert scheme.resource("example.com", "v1", "widgets") is widget
    assert widget.type is None
    scheme.add(dataclasses.replace(widget, short_names=("w",)))
    assert scheme.by_kind("example.com/v1", "Widget").short_names == ("w",)
    scheme.remove(scheme.by_kind("example.com/v1", "Widget"))
    assert scheme.by_kind("example.com/v1", "Widget") is None
    assert Scheme.builtin().resource("example.com", "v1", "widgets") is None


def test_types_of_kinds_that_are_no_resources():
    assert type_of("v1", "DeleteOptions") is meta_v1.DeleteOptions
    assert type_of("apps/v1", "DeleteOptions") is meta_v1.DeleteOptions
    assert type_of("policy/v1", "Eviction") is policy_v1.Eviction
    assert type_of("authentication.k8s.io/v1", "TokenRequest") is authentication_v1.TokenRequest
    assert type_of("v1", "PodSpec") is None
    assert type_of("apps/v1", "Pod") is None
    assert type_of("example.com/v1", "Widget") is None
