"""The hooks: who is enabled contributes, and the kernel runs what was contributed.

Entry-point group ``bareboat.plugins``; hook marker from ``hookimpl``. Hooks are synchronous, are called once at start, and
return objects. Implementations may take fewer arguments than the specification. Order, weights and options come from the
cluster file, never from registration order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin
    from bareboat.contracts.auth import Authenticator, AuthHost, Authorizer, Reader
    from bareboat.contracts.contributions import Command, HttpApp, Kind, NodeService
    from bareboat.contracts.scheduling import SchedulingPolicy

GROUP = "bareboat.plugins"
PROJECT = "bareboat"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def bareboat_authenticators(reader: Reader, host: AuthHost, options: dict[str, Any]) -> list[Authenticator]:  # type: ignore[empty-body]
    """Authenticators, tried in the order of ``authentication`` in the cluster file. ``options`` are the plugin's own: raise
    ValueError if they are none."""


@hookspec
def bareboat_authorizers(reader: Reader, host: AuthHost, options: dict[str, Any]) -> list[Authorizer]:  # type: ignore[empty-body]
    """Authorizers, asked in the order of ``authorization`` in the cluster file. Raise ValueError for options that are none."""


@hookspec
def bareboat_bootstrap_objects() -> list[dict[str, Any]]:  # type: ignore[empty-body]
    """Objects that a new cluster has, as trees; created at start where missing (and reconciled where they say autoupdate)."""


@hookspec
def bareboat_admission(reader: Reader, host: AdmissionHost, options: dict[str, Any]) -> list[AdmissionPlugin]:  # type: ignore[empty-body]
    """Admission plugins, run in the order of ``admission`` in the cluster file."""


@hookspec
def bareboat_scheduling_policies(options: dict[str, Any]) -> list[SchedulingPolicy]:  # type: ignore[empty-body]
    """Scheduling policies, named in the profile of the cluster file."""


@hookspec
def bareboat_controllers() -> list[type[Any]]:  # type: ignore[empty-body]
    """Subclasses of ``bareboat.reconcile.controller.Controller`` to run beside the kernel's own."""


@hookspec
def bareboat_observers() -> list[Any]:  # type: ignore[empty-body]
    """Objects with ``observe(event: str, fields: dict)``: told of starts, stops and failures; their errors are logged and isolated."""


@hookspec
def bareboat_kinds(options: dict[str, Any]) -> list[Kind]:  # type: ignore[empty-body]
    """Kinds that are served and stored like the built-in ones; made or brought up to date at start, never removed."""


@hookspec
def bareboat_node_services(options: dict[str, Any]) -> list[NodeService]:  # type: ignore[empty-body]
    """Services of every node, run by its agent. From the plugins that ``node.plugins`` in the cluster file names."""


@hookspec
def bareboat_http_apps(reader: Reader, options: dict[str, Any]) -> list[HttpApp]:  # type: ignore[empty-body]
    """Web applications below ``/apps/NAME/`` of the API server, behind its authentication and authorization."""


@hookspec
def bareboat_cli(options: dict[str, Any]) -> list[Command]:  # type: ignore[empty-body]
    """Subcommands of ``bareboat``, looked for when the first word is none of its own."""
