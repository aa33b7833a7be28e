"""The kinds of bareboat.dev/v1. There is one: a plugin that some part of the cluster has loaded. Read only."""

from __future__ import annotations

import msgspec

from bareboat.models import meta_v1

GROUP = "bareboat.dev"
#: Annotation of a Node under which its agent tells which plugins it has loaded: a JSON list of PluginSpec.
ANNOTATION = "bareboat.dev/plugins"


class PluginSpec(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``name`` as in the cluster file; ``contract`` the entry-point group; ``node`` "" for the control plane."""

    name: str = ""
    contract: str = ""
    distribution: str = ""
    version: str = ""
    node: str = ""


class PluginStatus(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``state`` Loaded, or NotReady with the Node's reason."""

    state: str = ""
    message: str = ""


class Plugin(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A plugin that the control plane or a node has loaded."""

    kind: str = msgspec.field(default_factory=lambda: "Plugin")
    apiVersion: str = msgspec.field(default_factory=lambda: "bareboat.dev/v1")
    metadata: meta_v1.ObjectMeta = msgspec.field(default_factory=meta_v1.ObjectMeta)
    spec: PluginSpec = msgspec.field(default_factory=PluginSpec)
    status: PluginStatus = msgspec.field(default_factory=PluginStatus)
