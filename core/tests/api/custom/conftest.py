"""A plain-tree client of a kernel: custom objects have no types."""

import msgspec
import pytest

GROUP = "stable.example.com"
PATHS = {"json": "application/json-patch+json", "merge": "application/merge-patch+json", "apply": "application/apply-patch+yaml"}
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Answer:
    def __init__(self, answer):
        self.status = answer.status
        self.body = msgspec.json.decode(answer.body) if answer.body else None

    @property
    def message(self):
        return self.body.get("message", "")

    @property
    def causes(self):
        return [(c["reason"], c.get("field", ""), c["message"]) for c in self.body["details"]["causes"]]

    def __getitem__(self, name):
        return self.body[name]


class Api:
    """Requests as trees; ``define`` and ``crontab`` make the usual things."""

    group = GROUP
    definitions = DEFINITIONS
    crontab = staticmethod(lambda *args, **more: crontab(*args, **more))
    version = staticmethod(lambda *args, **more: version(*args, **more))
    tree = staticmethod(lambda *args, **more: definition(*args, **more))
    path = staticmethod(lambda *args, **more: path(*args, **more))

    def __init__(self, kernel):
        self.kernel = kernel
        self.transport = kernel.client.transport

    async def request(self, method, path, body=None, media="application/json", accept="application/json", **query):
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        return Answer(await self.transport.request(method, path, body=data, content_type=media, accept=accept, query=query))

    async def get(self, path, **query):
        return await self.request("GET", path, **query)

    async def create(self, path, body, **query):
        return await self.request("POST", path, body, **query)

    async def update(self, path, body, **query):
        return await self.request("PUT", path, body, **query)

    async def patch(self, path, body, kind="merge", **query):
        return await self.request("PATCH", path, body, PATHS[kind], **query)

    async def delete(self, path, **query):
        return await self.request("DELETE", path, **query)

    async def define(self, schema=None, *, versions=None, established=True, **spec):
        """A definition of crontabs; ``schema`` is that of spec."""
        tree = definition(schema, versions=versions, **spec)
        answer = await self.create(DEFINITIONS, tree)
        assert answer.status == 201, answer.body
        if established:
            await self.until_established(tree["metadata"]["name"])
        return answer

    async def until_established(self, name):
        while not any(
            c["type"] == "Established" and c["status"] == "True" for c in (await self.definition(name))["status"]["conditions"] or ()
        ):
            await self.kernel.clock.sleep(0.01)

    async def definition(self, name=f"crontabs.{GROUP}"):
        return (await self.get(f"{DEFINITIONS}/{name}")).body

    async def redefine(self, change, name=f"crontabs.{GROUP}"):
        tree = await self.definition(name)
        change(tree["spec"])
        answer = await self.update(f"{DEFINITIONS}/{name}", tree)
        assert answer.status == 200, answer.body
        return answer


def definition(schema=None, *, versions=None, group=GROUP, plural="crontabs", kind="CronTab", scope="Namespaced", names=None, **spec):
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"plural": plural, "kind": kind, **(names or {})},
            "versions": versions or [version("v1", schema)],
            **spec,
        },
    }


def version(name, schema=None, *, storage=True, served=True, **more):
    spec = schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    root = {"type": "object", "properties": {"spec": spec, "status": status}}
    return {"name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": root}, **more}


def crontab(name="a", version="v1", /, **spec):
    return {"apiVersion": f"{GROUP}/{version}", "kind": "CronTab", "metadata": {"name": name}, "spec": spec}


def path(name="", version="v1", part="", namespace="default"):
    base = f"/apis/{GROUP}/{version}/namespaces/{namespace}/crontabs"
    return "/".join([base, *([name] if name else []), *([part] if part else [])])


@pytest.fixture
def api(kernel):
    return Api(kernel)
