"""The kinds of object storage, as definitions: a cluster that names this plugin serves them."""

from __future__ import annotations

from typing import Any

from bareboat.contracts.hooks import hookimpl

GROUP, VERSION = "objectstorage.k8s.io", "v1alpha1"
TEXT: dict[str, Any] = {"type": "string"}
TEXTS: dict[str, Any] = {"type": "object", "additionalProperties": TEXT}
LIST: dict[str, Any] = {"type": "array", "items": TEXT}
REFERENCE: dict[str, Any] = {"type": "object", "properties": {"name": TEXT, "namespace": TEXT, "uid": TEXT}}
YES_NO: dict[str, Any] = {"type": "boolean"}
DELETION: dict[str, Any] = {"type": "string", "enum": ["Delete", "Retain"]}


def kind(name: str, plural: str, *, namespaced: bool, required: list[str], **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"apiVersion": TEXT, "kind": TEXT, "metadata": {"type": "object"}, **properties}}
    if required:
        schema["required"] = required
    version: dict[str, Any] = {"name": VERSION, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    if "status" in properties:
        version["subresources"] = {"status": {}}
    spec = {
        "group": GROUP,
        "scope": "Namespaced" if namespaced else "Cluster",
        "names": {"kind": name, "plural": plural, "singular": name.lower(), "listKind": f"{name}List"},
        "versions": [version],
    }
    note = {"api-approved.kubernetes.io": "unapproved, served by a plugin"}
    meta = {"name": f"{plural}.{GROUP}", "annotations": note}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": meta, "spec": spec}


def part(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@hookimpl
def bareboat_bootstrap_objects() -> list[dict[str, Any]]:
    bucket = part(driverName=TEXT, bucketClassName=TEXT, bucketClaim=REFERENCE, protocols=LIST, parameters=TEXTS, deletionPolicy=DELETION)
    access = part(bucketClaimName=TEXT, bucketAccessClassName=TEXT, protocol=TEXT, credentialsSecretName=TEXT, serviceAccountName=TEXT)
    return [
        kind(
            "BucketClass",
            "bucketclasses",
            namespaced=False,
            required=["driverName", "deletionPolicy"],
            driverName=TEXT,
            deletionPolicy=DELETION,
            parameters=TEXTS,
        ),
        kind(
            "BucketAccessClass",
            "bucketaccessclasses",
            namespaced=False,
            required=["driverName"],
            driverName=TEXT,
            authenticationType=TEXT,
            parameters=TEXTS,
        ),
        kind("Bucket", "buckets", namespaced=False, required=["spec"], spec=bucket, status=part(bucketReady=YES_NO, bucketID=TEXT)),
        kind(
            "BucketClaim",
            "bucketclaims",
            namespaced=True,
            required=["spec"],
            spec=part(bucketClassName=TEXT, protocols=LIST),
            status=part(bucketReady=YES_NO, bucketName=TEXT),
        ),
        kind(
            "BucketAccess",
            "bucketaccesses",
            namespaced=True,
            required=["spec"],
            spec=access,
            status=part(accessGranted=YES_NO, accountID=TEXT),
        ),
    ]
