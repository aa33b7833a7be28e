"""Kinds from Structs, and what is refused of what hooks return."""

import msgspec
import pytest

from bareboat.contracts.contributions import Command, HttpApp, Kind, NodeService
from bareboat.contracts.structural import structural
from bareboat.plugins.contributions import faults_of


class Inner(msgspec.Struct):
    """Inside."""

    a: int | None = None
    b: list[str] = []
    c: dict[str, int] = {}
    d: int | str = 0


class Spec(msgspec.Struct):
    inner: Inner
    free: dict = {}


class Tree(msgspec.Struct):
    child: "Tree | None" = None


def test_a_struct_becomes_a_structural_schema():
    schema = structural(Spec)
    inner = schema["properties"]["inner"]
    assert schema["required"] == ["inner"]
    assert inner["properties"]["a"] == {"type": "integer", "nullable": True}
    assert inner["properties"]["b"]["items"] == {"type": "string"}
    assert inner["properties"]["c"]["additionalProperties"] == {"type": "integer"}
    assert inner["properties"]["d"] == {"x-kubernetes-int-or-string": True}
    assert schema["properties"]["free"]["x-kubernetes-preserve-unknown-fields"] is True
    with pytest.raises(TypeError, match="contains itself"):
        structural(Tree)


async def _app(scope, receive, send): ...


async def _run(arguments): ...


@pytest.mark.parametrize(
    ("hook", "returned", "fault"),
    [
        ("bareboat_kinds", {"a": 1}, "returned dict, not a list"),
        ("bareboat_kinds", [Kind(group="g", version="v1", kind="K", plural="ks")], "give either `type` or `schema`"),
        ("bareboat_kinds", [Kind(group="g", version="v1", kind="K", plural="ks", type=Tree)], "contains itself"),
        ("bareboat_http_apps", [HttpApp(name="a/b", app=_app)], "'a/b' is no path segment"),
        ("bareboat_http_apps", [7], "is not a bareboat.contracts.contributions.HttpApp"),
        ("bareboat_cli", [Command(name="x", summary="", run=_run)], "run must not be async"),
        ("bareboat_node_services", [object()], "is not a bareboat.contracts.contributions.NodeService"),
        ("bareboat_controllers", [7], "is not a subclass of bareboat.reconcile.controller.Controller"),
        ("bareboat_bootstrap_objects", [{"kind": "X"}], "is no object"),
    ],
)
def test_what_a_hook_must_not_return(hook, returned, fault):
    assert any(fault in f for f in faults_of(hook, returned))


def test_a_service_that_is_whole_is_fine():
    class Service(NodeService):
        name = "s"

        async def run(self, node): ...

    assert faults_of("bareboat_node_services", [Service()]) == []
