"""The chain: stages, what runs again, what is told when a write has ended, and what deletes and evictions are admitted as."""

import pytest

from bareboat.contracts.admission import POLICY, QUOTA, WEBHOOK, AdmissionPlugin
from bareboat.models import core_v1, meta_v1, policy_v1
from bareboat.models.status import ApiError, Forbidden
from bareboat.testing.kernel import Kernel


class Recorder(AdmissionPlugin):
    def __init__(self, name, stage=0, told=None):
        self.name, self.stage, self.told = name, stage, told

    async def mutate(self, request):
        self.told.append(("mutate", self.name, request.operation, request.subresource))

    async def validate(self, request):
        self.told.append(("validate", self.name, request.operation, request.subresource))
        request.ended.append(lambda: self.told.append(("ended", self.name)))


class Again(Recorder):
    async def mutate(self, request):
        await super().mutate(request)
        request.reinvoke = True

    async def remutate(self, request):
        self.told.append(("remutate", self.name))


@pytest.fixture
async def start():
    kernels = []

    async def start(*plugins):
        kernel = await Kernel(admission=plugins).start()
        kernels.append(kernel)
        return kernel

    yield start
    for kernel in kernels:
        await kernel.stop()


def config_map(name="m"):
    return core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=name, namespace="default"))


async def test_stages_order_what_is_configured_in_any_order(start):
    told = []
    kernel = await start(*(Recorder(str(stage), stage, told) for stage in (QUOTA, WEBHOOK, POLICY, 0)))
    told.clear()
    await kernel.client.create(config_map())
    assert [t[1] for t in told if t[0] == "mutate"] == ["0", "1", "2", "3"]
    assert [t[1] for t in told if t[0] == "validate"] == ["0", "1", "2", "3"]
    assert [t[0] for t in told[-4:]] == ["ended"] * 4


async def test_mutators_run_once_more_when_a_later_one_changed_something(start):
    told = []
    kernel = await start(Recorder("a", 0, told), Again("b", WEBHOOK, told))
    told.clear()
    await kernel.client.create(config_map())
    names = [t[:2] for t in told if t[0] != "ended"]
    assert names == [("mutate", "a"), ("mutate", "b"), ("mutate", "a"), ("remutate", "b"), ("validate", "a"), ("validate", "b")]


async def test_a_refused_write_ends_too(start):
    class Refusing(Recorder):
        async def validate(self, request):
            raise Forbidden.of(request.resource, request.name, because="no")

    told = []
    first, second = Recorder("a", 0, told), Refusing("b", QUOTA, told)
    second.handles = lambda operation, group, resource, subresource: resource == "configmaps"
    kernel = await start(first, second)
    told.clear()
    with pytest.raises(ApiError):
        await kernel.client.create(config_map())
    assert told[-1] == ("ended", "a")


async def test_deletes_are_mutated_and_evictions_are_admitted_as_evictions(start):
    told = []
    kernel = await start(Recorder("a", 0, told))
    spec = core_v1.PodSpec(containers=[core_v1.Container(name="c", image="x")])
    meta = meta_v1.ObjectMeta(name="p", namespace="default")
    await kernel.client.create(core_v1.Pod(metadata=meta, spec=spec))
    await kernel.client.create(config_map())
    told.clear()
    await kernel.client.delete(core_v1.ConfigMap, "m", "default")
    assert [t for t in told if t[0] == "mutate"] == [("mutate", "a", "DELETE", "")]
    told.clear()
    eviction = policy_v1.Eviction(metadata=meta_v1.ObjectMeta(name="p", namespace="default"))
    await kernel.client.post("/api/v1/namespaces/default/pods/p/eviction", eviction)
    assert [t for t in told if t[0] == "mutate"] == [("mutate", "a", "CREATE", "eviction")]


async def test_a_plugin_that_changes_what_lies_deep_does_not_reach_the_old_object(start):
    class Renaming(Recorder):
        async def mutate(self, request):
            if request.operation == "UPDATE":
                request.object.spec.containers[0].image = "deep"

        async def validate(self, request):
            if request.operation == "UPDATE":
                self.told.append((request.object.spec.containers[0].image, request.old.spec.containers[0].image))

    told = []
    plugin = Renaming("a", 0, told)
    plugin.handles = lambda operation, group, resource, subresource: resource == "pods"
    kernel = await start(plugin)
    spec = core_v1.PodSpec(containers=[core_v1.Container(name="c", image="x")])
    await kernel.client.create(core_v1.Pod(metadata=meta_v1.ObjectMeta(name="p", namespace="default"), spec=spec))
    path, body = "/api/v1/namespaces/default/pods/p", b'{"metadata":{"labels":{"a":"b"}}}'
    answer = await kernel.client.transport.request("PATCH", path, body=body, content_type="application/merge-patch+json")
    assert answer.status == 200
    assert told == [("deep", "x")]
    assert (await kernel.client.get(core_v1.Pod, "p", "default")).metadata.generation == 2
