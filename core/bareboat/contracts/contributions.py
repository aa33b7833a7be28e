"""What hook plugins contribute beside policies: kinds, services of every node, web applications, subcommands.

    bareboat_kinds          ``Kind``         served and stored like the built-in ones; a Struct says what its objects look like
    bareboat_node_services  ``NodeService``  runs in the agent of every node, with the node's own rights
    bareboat_http_apps      ``HttpApp``      an ASGI application below /apps/NAME/ of the API server, for whom the authorizers allow it
    bareboat_cli            ``Command``      a subcommand of ``bareboat``

Kinds and applications come from ``plugins`` in the cluster file, node services from ``node.plugins``, commands from both.
"""

from __future__ import annotations

import argparse
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bareboat.contracts.auth import UserInfo
from bareboat.contracts.driver import DriverClock
from bareboat.contracts.structural import structural

#: Under which an application finds who asks in its scope: a UserInfo.
USER = "bareboat.user"
Asgi = Callable[[MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of objects. ``type`` is a Struct whose fields, beside metadata, are those of its objects (``spec``, ``status`` …), or
    ``schema`` an OpenAPI v3 schema of the same. With a field ``status`` it has the status subresource.

    ``columns`` are what ``kubectl get`` shows: (name, type, JSON path).
    """

    group: str
    version: str
    kind: str
    plural: str
    type: Any = None
    schema: dict[str, Any] = {}
    namespaced: bool = True
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    columns: tuple[tuple[str, str, str], ...] = ()

    def definition(self) -> dict[str, Any]:
        """The CustomResourceDefinition by which the kernel serves it. Raises TypeError for a type that has no schema."""
        schema = dict(self.schema) or structural(self.type)
        status = "status" in schema.get("properties", {})
        names = {"kind": self.kind, "plural": self.plural, "singular": self.singular or self.kind.lower()}
        names |= {k: list(v) for k, v in (("shortNames", self.short_names), ("categories", self.categories)) if v}  # type: ignore[misc]
        version: dict[str, Any] = {"name": self.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        if status:
            version["subresources"] = {"status": {}}
        if self.columns:
            version["additionalPrinterColumns"] = [{"name": n, "type": t, "jsonPath": p} for n, t, p in self.columns]
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{self.plural}.{self.group}", "labels": {"bareboat.dev/contributed": "true"}},
            "spec": {
                "group": self.group,
                "scope": "Namespaced" if self.namespaced else "Cluster",
                "names": names,
                "versions": [version],
            },
        }


class HttpApp(msgspec.Struct, frozen=True, kw_only=True):
    """``app`` is any ASGI application (FastAPI, Starlette, a function); it is reached at ``/apps/NAME/…``.

    Who asks is known before it is called (``scope["bareboat.user"]``), and the authorizers have allowed the path: in RBAC a rule with
    ``nonResourceURLs: [/apps/NAME/*]`` and the method as the verb (get, post …).
    """

    name: str
    app: Asgi


class NodeContext(Protocol):
    """What a node lends a service. ``client`` (a bareboat.client.client.Client) has the node's own rights; ``state_dir`` is the
    service's own, kept over restarts."""

    node_name: str
    client: Any
    clock: DriverClock
    log: logging.Logger
    state_dir: Path


class NodeService(ABC):
    """Runs as long as the agent. A crash is logged, told as an Event of the Node, and begun again after a while."""

    name: str

    @abstractmethod
    async def run(self, node: NodeContext) -> None:
        """Until cancelled."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """``add`` declares arguments; ``run`` gets them parsed and returns the exit code. Raise DriverError for what the user can mend."""

    name: str
    summary: str
    run: Callable[[argparse.Namespace], int]
    add: Callable[[argparse.ArgumentParser], None] = lambda parser: None


__all__ = ["USER", "Asgi", "Command", "HttpApp", "Kind", "NodeContext", "NodeService", "UserInfo"]
