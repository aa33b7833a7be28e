"""What authorizers and admission plugins see of objects, below the API."""

import msgspec

from bareboat.models import core_v1
from bareboat.models.meta_v1 import ObjectMeta


class Meta(msgspec.Struct, frozen=True):
    labels: dict[str, str] = {}


class Shape(msgspec.Struct, frozen=True):
    metadata: Meta


async def test_a_view_that_is_kept_is_the_same_until_the_object_changes(kernel):
    def view():
        return kernel.reader.view(core_v1.ConfigMap, Shape, "c", "default", keep=True)

    assert view() is None
    made = await kernel.client.create(core_v1.ConfigMap(metadata=ObjectMeta(name="c", namespace="default")))
    first = view()
    assert first == Shape(Meta())
    assert view() is first
    assert kernel.reader.view(core_v1.ConfigMap, Meta, "c", "default") == Meta()
    made.metadata.labels = {"a": "b"}
    await kernel.client.update(made)
    assert view().metadata.labels == {"a": "b"}
    await kernel.client.delete(core_v1.ConfigMap, "c", "default")
    assert view() is None


async def test_a_view_that_is_not_kept_is_made_each_time(kernel):
    one, two = (kernel.reader.view(core_v1.Namespace, Shape, "default") for _ in range(2))
    assert one == two
    assert one is not two
