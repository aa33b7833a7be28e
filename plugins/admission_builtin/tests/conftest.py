"""A kernel in memory with all plugins of this distribution, and short ways to make objects."""

import pytest

from bareboat.admission.builtin import builtin
from bareboat.contracts.auth import UserInfo
from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.models.status import ApiError
from bareboat.testing.kernel import Kernel
from bareboat_admission_builtin.plugin import bareboat_admission


class World:
    """``options`` are the plugin's own."""

    def __init__(self, options=None, kernel_plugins=False):
        def plugins(reader, host):
            self.host = host
            own = bareboat_admission(reader, host, options or {})
            return [*builtin(reader, host), *own] if kernel_plugins else own

        self.kernel = Kernel(admission=plugins)
        self.client = self.kernel.client

    async def create(self, cls, tree, user="", groups=(), **more):
        metadata = {"namespace": "default", **tree.get("metadata", {})}
        if not self.kernel.scheme.by_type(cls).namespaced:
            metadata.pop("namespace")
        client = self.kernel.client_for(UserInfo(name=user, groups=groups)) if user else self.client
        return await client.create(from_tree(cls, {**tree, "metadata": metadata}), **more)

    async def pod(self, name="p", namespace="default", labels=None, annotations=None, dry_run=False, **spec):
        containers = spec.pop("containers", None) or [{"name": "c", "image": "x", "resources": spec.pop("resources", {})}]
        metadata = {"name": name, "namespace": namespace, "labels": labels or {}, "annotations": annotations or {}}
        return await self.create(core_v1.Pod, {"metadata": metadata, "spec": {"containers": containers, **spec}}, dry_run=dry_run)

    async def refused(self, doing):
        with pytest.raises(ApiError) as caught:
            await doing
        return caught.value


@pytest.fixture
async def world():
    world = World()
    await world.kernel.start()
    yield world
    await world.kernel.stop()


@pytest.fixture
async def make_world():
    worlds = []

    async def make(options=None, **more):
        world = World(options, **more)
        await world.kernel.start()
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        await world.kernel.stop()
