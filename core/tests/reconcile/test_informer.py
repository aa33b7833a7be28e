"""What an informer tells, and how often it decodes what it is told of."""

import asyncio

import pytest

from bareboat.client.transport import RawEvent, raw_event
from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.models.scheme import Scheme
from bareboat.models.status import Gone
from bareboat.reconcile.facts import PodFacts
from bareboat.reconcile.informer import Informer, InformerFactory
from bareboat.reconcile.state import State

pytestmark = pytest.mark.virtual_time


def pod(name):
    spec = {"containers": [{"name": "c", "image": "web:1"}]}
    return from_tree(core_v1.Pod, {"metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}}, "spec": spec})


@pytest.fixture
async def pods(kernel):
    factory = InformerFactory(kernel.client)
    pods = factory.of(core_v1.Pod)
    pods.add_index("app", lambda pod: (pod.metadata.labels["app"],) if "app" in pod.metadata.labels else (), PodFacts)
    task = asyncio.ensure_future(factory.run())
    await pods.synced()
    yield pods
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def change(kernel, patch, subresource=""):
    await kernel.client.patch(core_v1.Pod, "a", patch, "default", subresource=subresource)
    await asyncio.sleep(0.1)


async def test_a_view_of_which_nothing_changed_is_told_as_the_same_object(kernel, pods):
    told = []
    pods.on_view(lambda _key, old, new: told.append((old, new)), PodFacts)
    await kernel.client.create(pod("a"))
    await asyncio.sleep(0.1)
    await change(kernel, {"status": {"message": "nobody looks at this"}}, "status")
    await change(kernel, {"metadata": {"labels": {"app": "other"}}})
    (none, made), (old, new), (before, after) = told
    assert none is None
    assert old is new is made is before
    assert after.metadata.labels == {"app": "other"}


async def test_all_who_name_a_view_share_it(kernel, pods):
    told = []
    pods.on_view(lambda _key, _old, new: told.append(new), PodFacts)
    pods.on_view(lambda _key, _old, new: told.append(new), PodFacts)
    await kernel.client.create(pod("a"))
    await asyncio.sleep(0.1)
    assert told[0] is told[1]


async def test_an_index_follows_changes_and_deletions(kernel, pods):
    await kernel.client.create(pod("a"))
    await kernel.client.create(pod("b"))
    await asyncio.sleep(0.1)
    assert pods.by_index("app", "web") == ["default/a", "default/b"]
    await change(kernel, {"status": {"message": "x"}}, "status")
    assert pods.by_index("app", "web") == ["default/a", "default/b"]
    await change(kernel, {"metadata": {"labels": {"app": "other"}}})
    assert pods.by_index("app", "web") == ["default/b"]
    assert pods.by_index("app", "other") == ["default/a"]
    await kernel.client.delete(core_v1.Pod, "a", "default", grace_seconds=0)
    await asyncio.sleep(0.1)
    assert pods.index_values("app") == ["web"]


async def test_one_callback_that_fails_does_not_keep_others_from_being_told(kernel, pods, caplog):
    told = []

    def fails(_key, _old, _new):
        raise RuntimeError("no")

    pods.on_change(fails)
    pods.on_change(lambda key, _old, _new: told.append(key))
    await kernel.client.create(pod("a"))
    await asyncio.sleep(0.1)
    assert told == ["default/a"]
    assert "a callback for pods default/a failed" in caplog.text


async def test_who_comes_late_is_told_of_what_is_there(kernel, pods):
    await kernel.client.create(pod("a"))
    await asyncio.sleep(0.1)
    told = []
    pods.on_view(lambda key, old, new: told.append((key, old, new.metadata.name)), PodFacts)
    pods.on_state(lambda key, before, after: told.append((key, before.data, after.of(core_v1.Pod).metadata.name)))
    assert told == [("default/a", None, "a")] * 2


async def test_an_event_names_its_object_as_the_object_itself_does(kernel):
    seen = []

    async def follow(cls, count):
        async for event in kernel.client.watch_raw(kernel.scheme.by_type(cls), resource_version=str(kernel.log.head)):
            seen.append(event)
            if len(seen) == count:
                return

    for cls, count in ((core_v1.Pod, 3), (core_v1.Namespace, 1)):
        seen.clear()
        following = asyncio.ensure_future(follow(cls, count))
        await asyncio.sleep(0.1)
        if cls is core_v1.Pod:
            await kernel.client.create(pod("a"))
            await change(kernel, {"status": {"message": "x"}}, "status")
            await kernel.client.delete(core_v1.Pod, "a", "default", grace_seconds=0)
        else:
            await kernel.client.create(from_tree(core_v1.Namespace, {"metadata": {"name": "more"}}))
        await following
        assert seen == [raw_event(event.type, event.object) for event in seen]


async def test_a_view_is_shown_alone_without_a_look_at_the_state_before(kernel):
    before = State(core_v1.Pod, b'{"metadata":{"name":"a"}}')
    after = State(core_v1.Pod, b'{"metadata":{"name":"a"}}', before)
    assert after.alone(PodFacts) is not before.of(PodFacts)
    assert after.of(PodFacts) is before.of(PodFacts) is after.alone(PodFacts)
    assert State(core_v1.Pod, None).alone(PodFacts) is None


class Relisted:
    """A client whose history is gone after each list."""

    scheme = Scheme.builtin()

    def __init__(self, *lists):
        self.lists = list(lists)

    async def list_raw(self, *_, **__):
        found = [("ns", f"p{number}", b'{"metadata":{}}') for number in self.lists.pop(0)]
        return found, "1"

    async def watch_raw(self, *_, **__):
        if not self.lists:
            await asyncio.Event().wait()
        yield RawEvent("BOOKMARK", b"{}", "", "", 1)
        raise Gone("compacted")


@pytest.mark.parametrize("size", [40, 3000])
async def test_what_another_list_does_not_have_is_gone(size):
    informer = Informer(Relisted(range(size), range(size // 2, size + 1)), core_v1.Pod)
    told = []
    informer.on_change(lambda key, old, new: told.append((key, old is not None, new is not None)))
    running = asyncio.ensure_future(informer.run())
    await asyncio.sleep(1)
    assert sorted(informer.keys()) == sorted(f"ns/p{number}" for number in range(size // 2, size + 1))
    assert told[:size] == [(f"ns/p{number}", False, True) for number in range(size)]
    assert told[size] == (f"ns/p{size}", False, True)
    assert sorted(told[size + 1 :]) == sorted((f"ns/p{number}", True, False) for number in range(size // 2))
    running.cancel()
