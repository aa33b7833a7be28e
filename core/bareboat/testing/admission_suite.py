"""The conformance suite of admission plugins: every rule of ``contracts.admission``, against a plugin in a whole API in memory.

class TestMyAdmission(AdmissionSuite):
    def make(self, reader, host):
        return MyAdmission(reader)

    accepted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "good"}}
    refused = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bad"}}     # if it refuses anything
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec
import pytest
import pytest_asyncio

from bareboat.base.clock import SystemClock
from bareboat.client.client import checked
from bareboat.contracts.admission import FIRST, QUOTA, AdmissionPlugin
from bareboat.models.status import ApiError
from bareboat.testing.kernel import Kernel

OPERATIONS = ("CREATE", "UPDATE", "DELETE", "CONNECT")


class AdmissionSuite:
    """Objects are trees of namespaced built-in kinds."""

    accepted: ClassVar[dict[str, Any]] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "accepted"}, "data": {"a": "b"}}
    refused: ClassVar[dict[str, Any] | None] = None
    group: ClassVar[str] = "bareboat_admission"

    def make(self, reader: Any, host: Any) -> AdmissionPlugin:
        raise NotImplementedError("name your plugin: return MyAdmission()")

    async def prepare(self, kernel: Kernel) -> None:
        """Objects that the plugin reads."""

    @pytest_asyncio.fixture
    async def kernel(self) -> AsyncIterator[Kernel]:
        def contributed(reader: Any, host: Any) -> list[AdmissionPlugin]:
            self.plugin = self.make(reader, host)
            self._crashes: list[Exception] = []
            for verb in ("mutate", "validate"):
                setattr(self.plugin, verb, self._watched(getattr(self.plugin, verb)))
            return [self.plugin]

        made = await Kernel(clock=SystemClock(), admission=contributed).start()
        await self.prepare(made)
        yield made
        await made.stop()

    def _watched(self, verb: Any) -> Any:
        """What is no ApiError is a bug, which the API hides from its clients: a test shows it."""

        async def call(request: Any) -> None:
            try:
                await verb(request)
            except ApiError:
                raise
            except Exception as error:
                self._crashes.append(error)
                raise

        return call

    async def send(self, kernel: Kernel, method: str, tree: dict[str, Any], **query: str) -> dict[str, Any]:
        """Raises ApiError."""
        resource = kernel.scheme.by_kind(tree["apiVersion"], tree["kind"])
        assert resource is not None, f"{tree['kind']} is no built-in kind"
        path = f"{resource.path_prefix}/namespaces/default/{resource.plural}"
        path += "" if method == "POST" else f"/{tree['metadata']['name']}"
        answer = await kernel.client.transport.request(
            method, path, query=query, body=msgspec.json.encode(tree) if method != "DELETE" else b""
        )
        if self._crashes:
            raise self._crashes.pop()
        found: dict[str, Any] = msgspec.json.decode(checked(answer).body)
        return found

    def test_it_is_a_plugin_with_a_name_and_a_stage(self, kernel: Kernel) -> None:
        assert isinstance(self.plugin, AdmissionPlugin)
        assert self.plugin.name
        assert FIRST <= self.plugin.stage <= QUOTA

    def test_it_mutates_or_validates_and_does_so_async(self, kernel: Kernel) -> None:
        cls = type(self.plugin)
        written = [v for v in ("mutate", "validate", "remutate") if getattr(cls, v) is not getattr(AdmissionPlugin, v)]
        assert written, "neither mutate nor validate is written: the plugin has no effect"
        assert all(inspect.iscoroutinefunction(getattr(cls, v)) for v in written), "mutate and validate must be `async def`"

    def test_whether_it_handles_a_shape_is_always_the_same(self, kernel: Kernel) -> None:
        for operation in OPERATIONS:
            for group, resource, subresource in (
                ("", "pods", ""),
                ("", "pods", "status"),
                ("apps", "deployments", "scale"),
                ("x.y", "zs", ""),
            ):
                first = self.plugin.handles(operation, group, resource, subresource)  # type: ignore[arg-type]
                assert isinstance(first, bool)
                assert self.plugin.handles(operation, group, resource, subresource) is first  # type: ignore[arg-type]

    async def test_what_is_accepted_is_written(self, kernel: Kernel) -> None:
        made = await self.send(kernel, "POST", self.accepted)
        assert made["metadata"]["name"] == self.accepted["metadata"]["name"]

    async def test_changing_it_once_more_changes_nothing(self, kernel: Kernel) -> None:
        """Mutators run again when a later one changed something, and whenever the object is written back as it is."""
        made = await self.send(kernel, "POST", self.accepted)
        again = await self.send(kernel, "PUT", made)
        assert _without_bookkeeping(again) == _without_bookkeeping(made)

    async def test_a_dry_run_leaves_no_trace(self, kernel: Kernel) -> None:
        before = kernel.log.head
        await self.send(kernel, "POST", self.accepted, dryRun="All")
        assert kernel.log.head == before
        await self.send(kernel, "POST", self.accepted)

    async def test_what_was_accepted_can_be_deleted(self, kernel: Kernel) -> None:
        await self.send(kernel, "POST", self.accepted)
        await self.send(kernel, "DELETE", self.accepted)

    async def test_what_is_refused_is_not_written_and_says_why(self, kernel: Kernel) -> None:
        if self.refused is None:
            return
        before = kernel.log.head
        for _ in range(2):
            with pytest.raises(ApiError) as caught:
                await self.send(kernel, "POST", self.refused)
            assert 400 <= caught.value.code < 500, "a refusal is the client's fault: 4xx"
            assert str(caught.value)
        assert kernel.log.head == before
        await self.send(kernel, "POST", self.accepted)

    async def test_odd_objects_do_not_break_it(self, kernel: Kernel) -> None:
        odd: dict[str, Any] = {"metadata": {"name": "odd"}, "apiVersion": "v1"}
        for tree in (
            {**odd, "kind": "ConfigMap"},
            {**odd, "kind": "Secret", "data": {}},
            {**odd, "kind": "Pod", "spec": {"containers": [{"name": "c", "image": "i"}]}},
            {**odd, "kind": "Service", "spec": {"ports": [{"port": 80}]}},
        ):
            try:
                await self.send(kernel, "POST", tree)
            except ApiError as error:
                assert error.code < 500, f"{tree['kind']}: {error}"  # noqa: PT017


def _without_bookkeeping(tree: dict[str, Any]) -> dict[str, Any]:
    meta = {k: v for k, v in tree["metadata"].items() if k not in ("resourceVersion", "managedFields", "generation")}
    return {**tree, "metadata": meta}
