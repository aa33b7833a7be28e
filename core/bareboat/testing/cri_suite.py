"""The conformance suite of the runtime contract: subclass, name a few images and commands, and every rule is tested.

What comes in: a subclass of ``RuntimeSuite`` with a factory. What goes out: one test per rule of ``contracts.cri``. It speaks the
contract only: it needs no root and no real process, works in virtual time, and asks the subclass how a container of its kind
runs on, ends or ignores the stop signal. The optional verbs are in ``cri_suite_features``, as mixins::

    class TestMyRuntime(ExecRules, StatsRules, RuntimeSuite):
        driver_class = MyRuntime
        image, other_image = "alpine:3", "busybox:1"
"""

from __future__ import annotations

import asyncio

import pytest

from bareboat.contracts.cri import GROUP, Image, Sandbox
from bareboat.contracts.errors import Conflict, InProgress, InvalidConfig, NotFound
from bareboat.plugins.checks import driver_faults
from bareboat.testing.cri_suite_subject import Runtime, Subject, round_trips, settled

__all__ = ["ContainerRules", "ImageRules", "RestartRules", "Runtime", "RuntimeSuite", "SandboxRules", "Subject", "round_trips", "settled"]


class SandboxRules(Subject):
    """Rules of the sandbox verbs."""

    async def test_a_sandbox_is_ready_and_listed_with_its_config(self, runtime: Runtime) -> None:
        config = runtime.sandbox_config(hostname="web-0", labels={"app": "web"}, annotations={"note": "x"})
        sandbox = await runtime.driver.run_pod_sandbox(config)
        assert sandbox.state == "READY"
        assert sandbox.config == config
        assert sandbox.created_at > 0
        assert await runtime.driver.list_pod_sandbox() == [sandbox]
        assert round_trips(sandbox)

    async def test_the_same_sandbox_three_times_is_one(self, runtime: Runtime) -> None:
        ids = {(await runtime.sandbox()).id for _ in range(3)}
        assert len(ids) == 1
        assert len(await runtime.driver.list_pod_sandbox()) == 1

    async def test_one_key_with_another_config_is_a_conflict(self, runtime: Runtime) -> None:
        await runtime.sandbox()
        with pytest.raises(Conflict):
            await runtime.sandbox(hostname="another")

    async def test_a_new_attempt_and_a_new_life_are_new_ids(self, runtime: Runtime) -> None:
        first, second = await runtime.sandbox(), await runtime.sandbox(attempt=1)
        await runtime.driver.remove_pod_sandbox(first.id)
        third = await runtime.sandbox()
        assert len({first.id, second.id, third.id}) == 3

    async def test_a_stopped_sandbox_is_not_ready_and_its_containers_ended(self, runtime: Runtime) -> None:
        container = await runtime.running()
        sandbox = (await runtime.container(container)).sandbox_id
        for _ in range(3):
            await runtime.driver.stop_pod_sandbox(sandbox)
            assert await runtime.sandbox_state(sandbox) == "NOTREADY"
        ended = await runtime.container(container)
        assert ended.state == "EXITED"
        assert ended.finished_at >= ended.started_at

    async def test_a_removed_sandbox_takes_its_containers_along(self, runtime: Runtime) -> None:
        container = await runtime.running()
        sandbox = (await runtime.container(container)).sandbox_id
        for _ in range(3):
            await runtime.driver.remove_pod_sandbox(sandbox)
            assert await runtime.driver.list_pod_sandbox() == []
            assert await runtime.driver.list_containers() == []

    async def test_stopping_and_removing_unknown_sandboxes_succeeds(self, runtime: Runtime) -> None:
        await runtime.driver.stop_pod_sandbox("no-such-sandbox")
        await runtime.driver.remove_pod_sandbox("no-such-sandbox")

    async def test_two_calls_on_one_key_make_one_sandbox(self, runtime: Runtime) -> None:
        config = runtime.sandbox_config()
        results = await asyncio.gather(*(runtime.driver.run_pod_sandbox(config) for _ in range(4)), return_exceptions=True)
        assert all(isinstance(r, Sandbox | InProgress) for r in results), results
        assert len({r.id for r in results if isinstance(r, Sandbox)}) == 1
        assert len(await runtime.driver.list_pod_sandbox()) == 1

    async def test_a_cancelled_run_can_be_repeated_or_undone(self, runtime: Runtime) -> None:
        config = runtime.sandbox_config()
        for pause in (0.0, 0.001, 0.005):
            task = asyncio.ensure_future(runtime.driver.run_pod_sandbox(config))
            await asyncio.sleep(pause)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            sandbox = await settled(lambda: runtime.driver.run_pod_sandbox(config))
            assert [s.id for s in await runtime.driver.list_pod_sandbox()] == [sandbox.id]
            await settled(lambda s=sandbox: runtime.driver.remove_pod_sandbox(s.id))  # type: ignore[misc]
            assert await runtime.driver.list_pod_sandbox() == []


class ContainerRules(Subject):
    """Rules of the container verbs."""

    async def test_a_created_container_waits(self, runtime: Runtime) -> None:
        sandbox = await runtime.sandbox()
        config = await runtime.config(env=(("A", "1"), ("A", "2")), labels={"l": "1"}, annotations={"n": "2"})
        container = await runtime.container(await runtime.driver.create_container(sandbox.id, config))
        assert (container.state, container.sandbox_id, container.config) == ("CREATED", sandbox.id, config)
        assert container.created_at > 0
        assert (container.started_at, container.finished_at) == (0, 0)
        assert container.image_id
        assert round_trips(container)

    async def test_the_same_container_three_times_is_one(self, runtime: Runtime) -> None:
        sandbox = await runtime.sandbox()
        assert len({await runtime.create(sandbox.id) for _ in range(3)}) == 1
        assert len(await runtime.driver.list_containers()) == 1
        with pytest.raises(Conflict):
            await runtime.create(sandbox.id, env=(("A", "other"),))
        assert len({await runtime.create(sandbox.id, attempt=n) for n in range(3)}) == 3

    async def test_a_container_needs_a_known_sandbox_and_image(self, runtime: Runtime) -> None:
        with pytest.raises(NotFound):
            await runtime.create("no-such-sandbox")
        sandbox = await runtime.sandbox()
        with pytest.raises(NotFound):
            await runtime.create(sandbox.id, image=self.missing_image)

    async def test_a_started_container_runs(self, runtime: Runtime) -> None:
        container = await runtime.running()
        for _ in range(2):
            await runtime.driver.start_container(container)
        seen = await runtime.until(container, "RUNNING")
        assert seen.started_at >= seen.created_at
        assert (seen.finished_at, seen.exit_code) == (0, 0)
        assert round_trips(seen)

    async def test_starting_an_unknown_container_is_not_found(self, runtime: Runtime) -> None:
        with pytest.raises(NotFound):
            await runtime.driver.start_container("no-such-container")

    @pytest.mark.parametrize(("code", "reason"), [(0, "Completed"), (3, "Error")])
    async def test_an_exit_is_recorded_with_code_reason_and_time(self, runtime: Runtime, code: int, reason: str) -> None:
        ended = await runtime.ended(self.exits_with(code))
        assert (ended.exit_code, ended.reason) == (code, reason)
        assert ended.finished_at >= ended.started_at > 0
        assert round_trips(ended)

    async def test_a_command_that_cannot_run_is_an_invalid_config(self, runtime: Runtime) -> None:
        container = await runtime.create((await runtime.sandbox()).id, self.cannot_start())
        with pytest.raises(InvalidConfig) as caught:
            await runtime.driver.start_container(container)
        assert caught.value.reason in ("StartError", "ContainerCannotRun")
        ended = await runtime.container(container)
        assert ended.state == "EXITED"
        assert ended.exit_code in (126, 127, 128)
        assert ended.reason in ("StartError", "ContainerCannotRun")

    async def test_a_container_is_stopped_by_its_signal(self, runtime: Runtime) -> None:
        container = await runtime.running(self.obeys_stop())
        await asyncio.sleep(0.1)
        await runtime.driver.stop_container(container, self.patience)
        ended = await runtime.container(container)
        assert (ended.state, ended.exit_code) == ("EXITED", 0)

    async def test_what_ignores_the_signal_is_killed_after_the_grace_time(self, runtime: Runtime) -> None:
        container = await runtime.running(self.ignores_stop())
        await asyncio.sleep(0.1)
        before = runtime.host.clock.monotonic()
        await runtime.driver.stop_container(container, 0.3)
        assert runtime.host.clock.monotonic() - before >= 0.3
        ended = await runtime.container(container)
        assert (ended.state, ended.exit_code) == ("EXITED", self.stop_signal_code)

    async def test_stop_and_remove_may_be_repeated(self, runtime: Runtime) -> None:
        container = await runtime.running(self.ignores_stop())
        for _ in range(3):
            await runtime.driver.stop_container(container, 0)
        assert (await runtime.container(container)).state == "EXITED"
        for _ in range(3):
            await runtime.driver.remove_container(container)
        assert await runtime.driver.list_containers() == []

    async def test_stopping_and_removing_unknown_containers_succeeds(self, runtime: Runtime) -> None:
        await runtime.driver.stop_container("no-such-container", 1)
        await runtime.driver.remove_container("no-such-container")

    async def test_removing_a_running_container_ends_it(self, runtime: Runtime) -> None:
        container = await runtime.running(self.ignores_stop())
        await runtime.driver.remove_container(container)
        assert await runtime.driver.list_containers() == []

    async def test_a_removed_container_comes_back_under_a_new_id(self, runtime: Runtime) -> None:
        sandbox = await runtime.sandbox()
        first = await runtime.create(sandbox.id)
        await runtime.driver.remove_container(first)
        assert await runtime.create(sandbox.id) != first

    async def test_a_cancelled_create_and_start_can_be_repeated(self, runtime: Runtime) -> None:
        sandbox = await runtime.sandbox()
        config = await runtime.config()
        task = asyncio.ensure_future(runtime.driver.create_container(sandbox.id, config))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        container = await settled(lambda: runtime.driver.create_container(sandbox.id, config))
        task2 = asyncio.ensure_future(runtime.driver.start_container(container))
        await asyncio.sleep(0)
        task2.cancel()
        await asyncio.gather(task2, return_exceptions=True)
        await settled(lambda: runtime.driver.start_container(container))
        assert [c.id for c in await runtime.driver.list_containers()] == [container]
        assert (await runtime.until(container, "RUNNING")).id == container

    async def test_two_starts_at_once_start_it_once(self, runtime: Runtime) -> None:
        container = await runtime.create((await runtime.sandbox()).id)
        starts = (runtime.driver.start_container(container) for _ in range(3))
        results = await asyncio.gather(*starts, return_exceptions=True)
        assert all(r is None or isinstance(r, InProgress) for r in results), results
        await runtime.until(container, "RUNNING")


class RestartRules(Subject):
    """Rules about the agent process coming back: list_* is the truth."""

    async def test_a_new_process_sees_what_the_old_one_started(self, runtime: Runtime) -> None:
        running = await runtime.running()
        await runtime.until(running, "RUNNING")
        created = await runtime.create((await runtime.container(running)).sandbox_id, name="second")
        sandboxes, containers = await runtime.driver.list_pod_sandbox(), await runtime.driver.list_containers()
        await runtime.restart()
        assert await runtime.driver.list_pod_sandbox() == sandboxes
        assert sorted(await runtime.driver.list_containers(), key=lambda c: c.id) == sorted(containers, key=lambda c: c.id)
        await runtime.driver.start_container(created)
        await runtime.driver.stop_container(running, 0)
        assert (await runtime.container(running)).state == "EXITED"
        assert (await runtime.until(created, "RUNNING")).state == "RUNNING"

    async def test_an_exit_is_remembered_over_a_restart(self, runtime: Runtime) -> None:
        ended = await runtime.ended(self.exits_with(7))
        await runtime.restart()
        assert await runtime.container(ended.id) == ended

    async def test_keys_are_remembered_over_a_restart(self, runtime: Runtime) -> None:
        sandbox = await runtime.sandbox()
        container = await runtime.create(sandbox.id)
        await runtime.restart()
        assert (await runtime.sandbox()).id == sandbox.id
        assert await runtime.create(sandbox.id) == container
        with pytest.raises(Conflict):
            await runtime.sandbox(hostname="another")

    async def test_closing_twice_is_fine_and_stops_nothing(self, runtime: Runtime) -> None:
        container = await runtime.running()
        await runtime.until(container, "RUNNING")
        await runtime.driver.close()
        await runtime.driver.close()
        await runtime.restart()
        assert (await runtime.container(container)).state == "RUNNING"


class ImageRules(Subject):
    """Rules of the image verbs, and of the driver as a whole."""

    async def test_a_pulled_image_is_listed(self, runtime: Runtime) -> None:
        for name in (self.image, self.other_image, self.image):
            assert await runtime.driver.pull_image(name)
        images: list[Image] = await runtime.driver.list_images()
        assert images
        assert all(i.id and round_trips(i) for i in images)

    async def test_an_image_that_is_nowhere_is_not_found(self, runtime: Runtime) -> None:
        with pytest.raises(NotFound) as caught:
            await runtime.driver.pull_image(self.missing_image)
        assert caught.value.reason == "ErrImagePull"
        assert self.missing_image in caught.value.message

    async def test_a_malformed_reference_is_named_as_such(self, runtime: Runtime) -> None:
        with pytest.raises(NotFound) as caught:
            await runtime.driver.pull_image(self.malformed_image)
        assert caught.value.reason == "InvalidImageName"

    async def test_the_made_driver_is_one_that_the_kernel_loads(self, runtime: Runtime) -> None:
        assert driver_faults(GROUP, type(runtime.driver)) == []

    async def test_opening_twice_is_fine(self, runtime: Runtime) -> None:
        sandbox = await runtime.sandbox()
        await runtime.driver.open()
        assert await runtime.driver.list_pod_sandbox() == [sandbox]

    async def test_the_driver_is_healthy_and_names_itself(self, runtime: Runtime) -> None:
        assert (await runtime.driver.status()).ready
        version = await runtime.driver.version()
        assert version.runtime_name
        assert version.runtime_version
        assert runtime.driver.info.contract == GROUP


class RuntimeSuite(SandboxRules, ContainerRules, RestartRules, ImageRules):
    """All rules that every runtime must keep."""
