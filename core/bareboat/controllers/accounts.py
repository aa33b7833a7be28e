"""What every namespace gets: the service account ``default`` and the ConfigMap ``kube-root-ca.crt``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from bareboat.models import core_v1, meta_v1
from bareboat.models.status import AlreadyExists, Forbidden, NotFound
from bareboat.reconcile.controller import Controller
from bareboat.reconcile.informer import InformerFactory

ROOT_CA = "kube-root-ca.crt"


class _PerNamespace(Controller):
    """Keys are namespaces (``/name``)."""

    cls: ClassVar[Any]
    wanted: ClassVar[str]

    def setup(self, informers: InformerFactory) -> None:
        self._namespaces = self.watch(informers.of(core_v1.Namespace))
        self._objects = self.watch(informers.of(self.cls, fields=f"metadata.name={self.wanted}"), self._namespace_of)

    def _namespace_of(self, _key: str, obj: Any) -> Iterable[str]:
        return [f"/{obj.metadata.namespace}"]

    async def reconcile(self, key: str) -> float | None:
        namespace = self._namespaces.get(key)
        if namespace is None or namespace.metadata.deletionTimestamp:
            return None
        name = namespace.metadata.name
        try:
            await self.ensure(name, self._objects.get(f"{name}/{self.wanted}"))
        except (AlreadyExists, NotFound):
            return None
        except Forbidden:
            return None if (again := self._namespaces.get(key)) is None or again.metadata.deletionTimestamp else 1.0
        return None

    async def ensure(self, namespace: str, found: Any) -> None:
        raise NotImplementedError


class ServiceAccountController(_PerNamespace):
    name = "service-account-controller"
    cls = core_v1.ServiceAccount
    wanted = "default"

    async def ensure(self, namespace: str, found: Any) -> None:
        if found is None:
            await self.client.create(core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name=self.wanted, namespace=namespace)))


class RootCaPublisher(_PerNamespace):
    """``ca_pem`` is set by the assembly before the controller is made."""

    name = "root-ca-cert-publisher"
    cls = core_v1.ConfigMap
    wanted = ROOT_CA
    ca_pem: ClassVar[str] = ""

    async def ensure(self, namespace: str, found: Any) -> None:
        data = {"ca.crt": self.ca_pem}
        if found is None:
            note = {"kubernetes.io/description": "The CA that certificates of the API server are verified against inside the cluster."}
            meta = meta_v1.ObjectMeta(name=self.wanted, namespace=namespace, annotations=note)
            await self.client.create(core_v1.ConfigMap(metadata=meta, data=data))
        elif found.data != data:
            found.data = data
            await self.client.update(found)
