"""What a cluster with local storage has: its CSIDriver and StorageClasses, one of them the default."""

from __future__ import annotations

from typing import Any

from bareboat.contracts.hooks import hookimpl

NAME = "local.csi.bareboat.io"
DEFAULT = "storageclass.kubernetes.io/is-default-class"


@hookimpl
def bareboat_bootstrap_objects() -> list[dict[str, Any]]:
    return [_driver(), _class("local", "directory", default=True), _class("local-image", "image", default=False)]


def _driver() -> dict[str, Any]:
    spec = {
        "attachRequired": False,
        "podInfoOnMount": True,
        "volumeLifecycleModes": ["Persistent", "Ephemeral"],
        "storageCapacity": True,
        "fsGroupPolicy": "File",
    }
    return {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": NAME}, "spec": spec}


def _class(name: str, kind: str, *, default: bool) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": {DEFAULT: "true"} if default else {}},
        "provisioner": NAME,
        "parameters": {"kind": kind},
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
    }
