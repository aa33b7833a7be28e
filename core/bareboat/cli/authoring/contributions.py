"""The files of a new plugin that contributes through a hook: plugin.py, and one module with the class that is to be written.

In: names and family. Out: texts. The class has its verb with a ``raise NotImplementedError`` that says what it is for: the suite fails
with that sentence until it is written.
"""

from __future__ import annotations

from bareboat.cli.authoring.families import Family

_MODULES = {
    "scheduling": "policy",
    "admission": "admission",
    "authentication": "authenticator",
    "authorization": "authorizer",
    "controllers": "controller",
}
_ARGUMENTS = {"admission": "reader: Reader, host: AdmissionHost", "authentication": "reader: Reader", "authorization": "reader: Reader"}
_BODIES = {
    "scheduling": '''import numpy as np

from bareboat.contracts.scheduling import FloatArray, NodeArrays, PodRequest, SchedulingPolicy


class {cls}(SchedulingPolicy):
    """What it prefers, in one line."""

    name = "{plugin}"

    def score(self, pod: PodRequest, nodes: NodeArrays) -> FloatArray:
        raise NotImplementedError("score: 0..100 per node, higher is better; for example np.zeros(len(nodes.names))")
''',
    "admission": '''from typing import Any

from bareboat.contracts.admission import AdmissionPlugin, AdmissionRequest, Operation


class {cls}(AdmissionPlugin):
    """What it changes or refuses, in one line."""

    name = "{plugin}"

    def handles(self, operation: Operation, group: str, resource: str, subresource: str) -> bool:
        return operation in ("CREATE", "UPDATE") and (group, resource, subresource) == ("", "configmaps", "")

    async def validate(self, request: AdmissionRequest) -> None:
        raise NotImplementedError("validate: raise bareboat.models.status.Forbidden to refuse the object, return to accept it")
''',
    "authentication": '''from bareboat.contracts.auth import Authenticator, Credentials, UserInfo


class {cls}(Authenticator):
    """Whose credentials it knows, in one line."""

    name = "{plugin}"

    async def authenticate(self, credentials: Credentials) -> UserInfo | None:
        raise NotImplementedError("authenticate: the user, None for credentials of another kind; InvalidCredential for wrong ones")
''',
    "authorization": '''from bareboat.contracts.auth import Attributes, Authorizer, Decision


class {cls}(Authorizer):
    """What it allows or denies, in one line."""

    name = "{plugin}"

    async def authorize(self, attributes: Attributes) -> Decision:
        raise NotImplementedError('authorize: Decision("Allow"), Decision("Deny", "why") or NO_OPINION')
''',
    "controllers": '''from bareboat.models import core_v1
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory


class {cls}(Controller):
    """What it keeps true, in one line."""

    name = "{plugin}"

    def setup(self, informers: InformerFactory) -> None:
        self._objects = self.watch(informers.of(core_v1.ConfigMap))

    async def reconcile(self, key: str) -> float | None:
        raise NotImplementedError("reconcile: make the world equal to what the object of this key wants; seconds to look again, or None")
''',
}
_RETURNS = {
    "scheduling": ("list[SchedulingPolicy]", "from bareboat.contracts.scheduling import SchedulingPolicy", "[{cls}()]"),
    "admission": (
        "list[AdmissionPlugin]",
        "from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin\nfrom bareboat.contracts.auth import Reader",
        "[{cls}()]",
    ),
    "authentication": ("list[Authenticator]", "from bareboat.contracts.auth import Authenticator, Reader", "[{cls}()]"),
    "authorization": ("list[Authorizer]", "from bareboat.contracts.auth import Authorizer, Reader", "[{cls}()]"),
    "controllers": ("list[type[Any]]", "from typing import Any", "[{cls}]"),
}
_TESTS = {
    "scheduling": "    def make_policy(self):\n        return {cls}()\n",
    "admission": "    def make(self, reader, host):\n        return {cls}()\n",
    "authentication": "    def make(self, reader):\n        return {cls}()\n",
    "authorization": "    def make(self, reader):\n        return {cls}()\n",
    "controllers": "    controller = {cls}\n",
}


def modules(plugin: str, cls: str, package: str, family: Family) -> dict[str, str]:
    """Path in the package → text."""
    module = _MODULES[family.word]
    returns, imports, value = _RETURNS[family.word]
    head = f'"""{cls}: {family.summary}."""\n\nfrom __future__ import annotations\n\n'
    body = _BODIES[family.word].replace("{cls}", cls).replace("{plugin}", plugin)
    if family.word == "scheduling":
        body = body.replace("import numpy as np\n\n", "")
    if family.word == "admission":
        body = body.replace("from typing import Any\n\n", "")
    parts = sorted([*imports.split("\n"), "from bareboat.contracts.hooks import hookimpl"])
    standard, contracts = [p for p in parts if p.startswith("from typing")], [p for p in parts if not p.startswith("from typing")]
    text = "\n\n".join("\n".join(block) for block in (standard, contracts, [f"from {package}.{module} import {cls}"]) if block)
    hook = f'''"""The entry point: contributes {family.summary}."""

from __future__ import annotations

{text}


@hookimpl
def {family.hook}({_ARGUMENTS.get(family.word, "")}) -> {returns}:
    return {value.replace("{cls}", cls)}
'''
    return {f"{module}.py": head + body, "plugin.py": hook}


def test(cls: str, package: str, family: Family) -> str:
    module, _, suite = family.suite.partition(":")
    return f'''"""{cls} keeps every rule of its contract."""

from {module} import {suite}

from {package}.{_MODULES[family.word]} import {cls}


class Test{cls}({suite}):
{_TESTS[family.word].replace("{cls}", cls)}'''
