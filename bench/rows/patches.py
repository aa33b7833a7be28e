"""Changes of existing Pods, 16 clients, no two at the same Pod at once."""

from __future__ import annotations

import json
from functools import partial

from bench import objects
from bench.bench import PODS, Bench
from bench.load import NAME
from bench.row import Measured, Row

MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
_READY = {"type": "Ready", "status": "True", "reason": NAME, "lastTransitionTime": "2026-01-01T00:00:00Z"}
_CHANGE = json.dumps({"metadata": {"annotations": {"example.com/touched": NAME}}})
_STATUS = json.dumps({"status": {"phase": "Running", "podIP": "10.0.0.7", "conditions": [_READY]}})


def _patch(bench: Bench, subresource: str, content_type: str, body: str) -> Measured:
    path = f"{PODS}/pod-@NUMBER@{subresource}"
    return bench.load(path, 16, method="PATCH", body=body, content_type=content_type, cycle=4999)


def _apply(bench: Bench) -> Measured:
    tree = objects.applied("", NAME)
    del tree["metadata"]["name"]
    return _patch(bench, "?fieldManager=bench&force=true", APPLY, json.dumps(tree))


ROWS = [
    Row(
        "patch-merge",
        "merge patch of a Pod, 16 clients",
        "rate",
        524,
        5,
        partial(_patch, subresource="", content_type=MERGE, body=_CHANGE),
        wired=True,
    ),
    Row(
        "patch-status",
        "status patch of a Pod, 16 clients",
        "rate",
        506,
        5,
        partial(_patch, subresource="/status", content_type=MERGE, body=_STATUS),
        wired=True,
    ),
    Row("apply", "server-side apply to a Pod, 16 clients", "rate", 360, 6, _apply, wired=True),
]
