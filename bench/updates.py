"""What each stage of a change costs, in process: a merge patch, a patch of the status, an apply and two PUTs, each of a Pod.

As in ``bench.stages``: no HTTP, a store in memory, one request at a time, and CPU time of the thread. A stage's figure is its own
time, without the stages inside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bench import objects
from bench.metering import Meter

COUNT, WARM, PODS = 1000, 200, 50
_POD = "/api/v1/namespaces/default/pods"
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"

STAGES: list[tuple[str, str]] = [
    ("authorize", "bareboat.api.service.Service.authorize"),
    ("load", "bareboat.api.verbs.patch.load"),
    ("load", "bareboat.api.verbs.apply.load"),
    ("load", "bareboat.api.verbs.update.load"),
    ("decode", "bareboat.api.body.read"),
    ("patch", "bareboat.api.verbs.patch.patched"),
    ("patch", "bareboat.api.verbs.apply.applied"),
    ("patch", "bareboat.api.verbs.update.replacement"),
    ("patch", "bareboat.api.verbs.apply.read_config"),
    ("default", "bareboat.api.kinds.core.pods.PodStrategy.default"),
    ("managedFields", "bareboat.api.ownership.track_change"),
    ("managedFields", "bareboat.api.ownership.settle"),
    ("admit", "bareboat.admission.chain.Chain.mutate"),
    ("admit", "bareboat.admission.chain.Chain.validate"),
    ("validate", "bareboat.api.kinds.base.KindStrategy.prepare_update"),
    ("validate", "bareboat.api.kinds.core.pods.PodStatus.prepare_update"),
    ("validate", "bareboat.api.writing.validate_metadata_update"),
    ("validate", "bareboat.api.kinds.core.pods.PodStrategy.validate_update"),
    ("validate", "bareboat.api.kinds.core.pods.PodStatus.validate_update"),
    ("encode", "bareboat.api.writing.stored_bytes"),
    ("commit", "bareboat.store.log.Log._submit"),
    ("broadcast", "bareboat.store.broadcast.Broadcast.publish"),
]


@dataclass(frozen=True)
class Change:
    """``body`` makes the request's body from the object as it is and a text that no other request has."""

    name: str
    method: str
    path: str
    content_type: str
    body: Callable[[dict[str, Any], str], Any]
    query: tuple[tuple[str, str], ...] = ()


def _annotated(pod: dict[str, Any], text: str) -> dict[str, Any]:
    pod["metadata"]["annotations"]["example.com/touched"] = text
    return pod


def _with_status(pod: dict[str, Any], text: str) -> dict[str, Any]:
    return {**pod, "status": {**pod["status"], **_status(text)["status"]}}


def _status(text: str) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True", "reason": text, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return {"status": {"phase": "Running", "podIP": "10.0.0.7", "conditions": [ready]}}


def _configuration(pod: dict[str, Any], text: str) -> dict[str, Any]:
    return objects.applied(pod["metadata"]["name"], text)


CHANGES = [
    Change("merge patch", "PATCH", "", MERGE, lambda _, text: {"metadata": {"annotations": {"example.com/touched": text}}}),
    Change("status patch", "PATCH", "/status", MERGE, lambda _, text: _status(text)),
    Change("apply", "PATCH", "", APPLY, _configuration, (("fieldManager", "bench"), ("force", "true"))),
    Change("PUT", "PUT", "", "application/json", _annotated),
    Change("status PUT", "PUT", "/status", "application/json", _with_status),
]


async def _changes(client: Any, change: Change, count: int, label: str) -> float:
    """Seconds of ``count`` changes one after the other; what a client does for them is not counted."""
    spent = 0.0
    for number in range(count):
        path = f"{_POD}/changed-{number % PODS}"
        pod = json.loads((await client.transport.request("GET", path)).body)
        body = objects.body(change.body(pod, f"{label}{number}"))
        began = time.thread_time()
        answer = await client.transport.request(
            change.method, path + change.path, query=dict(change.query), body=body, content_type=change.content_type
        )
        spent += time.thread_time() - began
        assert answer.status == 200, answer.body
    return spent


async def measure(client: Any) -> dict[str, dict[str, float]]:
    """Microseconds by change and stage."""
    for number in range(PODS):
        pod = objects.pod(f"changed-{number}", 1)
        pod["metadata"]["namespace"] = "default"
        answer = await client.transport.request("POST", _POD, body=objects.body(pod))
        assert answer.status == 201, answer.body
    return {change.name: await _measured(client, change) for change in CHANGES}


async def _measured(client: Any, change: Change) -> dict[str, float]:
    await _changes(client, change, WARM, "w")
    plain = await _changes(client, change, COUNT, "p")
    meter = Meter(STAGES)
    with ExitStack() as stack:
        meter.wrap(stack)
        total = await _changes(client, change, COUNT, "m")
    return meter.micros(COUNT, total, plain)
