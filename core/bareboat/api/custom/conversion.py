"""Between the versions of a custom kind: by name only, or by the webhook that its definition names.

A webhook gets a ConversionReview with all objects of one answer at once. What it returns must be the same objects: of names,
namespaces, uids and everything else in metadata only labels and annotations may differ.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Protocol

import msgspec

from bareboat.api.custom.definition import Definition
from bareboat.base.ids import Ids
from bareboat.models.status import InternalError

Tree = dict[str, Any]


#: Bytes of an answer at most: it carries a whole list.
LIMIT = 64 << 20
#: Seconds that a webhook has.
TIMEOUT = 30.0


class Caller(Protocol):
    """Posts a review to where a client configuration points. Raises OSError or ValueError with what went wrong."""

    async def post(self, client: Tree, review: bytes, timeout: float, *, limit: int) -> bytes: ...


class Converter:
    """Of one server. Without a caller, webhooks fail."""

    def __init__(self, ids: Ids, caller: Caller | None = None) -> None:
        self._ids = ids
        self.caller = caller

    async def convert(self, definition: Definition, trees: list[Tree], target: str) -> list[Tree]:
        """The trees, changed in place, in the wanted apiVersion. Raises InternalError."""
        waiting = [tree for tree in trees if tree["apiVersion"] != target]
        if not waiting:
            return trees
        if definition.conversion.get("strategy") != "Webhook":
            for tree in waiting:
                tree["apiVersion"] = target
            return trees
        source = waiting[0]["apiVersion"]
        try:
            converted = await self._reviewed(definition, deepcopy(waiting), target)
            for tree, new in zip(waiting, converted, strict=True):
                _take(tree, new, target)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise InternalError(f"conversion webhook for {source}, Kind={definition.kind} failed: {error}", reason="") from error
        return trees

    async def _reviewed(self, definition: Definition, trees: list[Tree], target: str) -> list[Tree]:
        if self.caller is None:
            raise ValueError("this server calls no webhooks")
        hook = definition.conversion.get("webhook") or {}
        uid = self._ids.uid()
        versions = hook.get("conversionReviewVersions") or ["v1"]
        if "v1" not in versions:
            raise ValueError(f"unsupported conversion review versions: {versions}")
        review = {
            "kind": "ConversionReview",
            "apiVersion": "apiextensions.k8s.io/v1",
            "request": {"uid": uid, "desiredAPIVersion": target, "objects": trees},
        }
        data = await self.caller.post(hook.get("clientConfig") or {}, msgspec.json.encode(review), TIMEOUT, limit=LIMIT)
        try:
            answer = msgspec.json.decode(data)
        except RecursionError as error:
            raise ValueError("the answer is nested too deeply") from error
        return _checked(answer, uid, len(trees))


def _checked(answer: Any, uid: str, count: int) -> list[Tree]:
    """The converted objects of an answer. Raises ValueError."""
    if not isinstance(answer, dict) or answer.get("kind") != "ConversionReview" or not isinstance(answer.get("response"), dict):
        raise ValueError("expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview")
    response = answer["response"]
    if response.get("uid") != uid:
        raise ValueError(f'expected response.uid="{uid}", got "{response.get("uid")}"')
    result = response.get("result") or {}
    if not isinstance(result, dict):
        raise ValueError("response.result is no object")  # noqa: TRY004 - what the webhook said, no type of ours
    if result.get("status") != "Success":
        raise ValueError(result.get("message") or "response.result.status was not Success")
    found = response.get("convertedObjects") or []
    if not isinstance(found, list) or len(found) != count:
        raise ValueError(f"webhook returned {len(found)} objects, expected {count}")
    return list(found)


def _take(tree: Tree, new: Tree, target: str) -> None:
    """The converted object in place of the old one, with the metadata that a conversion may not touch."""
    if not isinstance(new, dict):
        raise ValueError("webhook returned what is no object")  # noqa: TRY004
    if new.get("apiVersion") != target:
        raise ValueError(f"webhook returned an object of {new.get('apiVersion')}, expected {target}")
    if new.get("kind") != tree["kind"]:
        raise ValueError(f"webhook returned an object of kind {new.get('kind')}, expected {tree['kind']}")
    meta, was = new.get("metadata"), tree["metadata"]
    if not isinstance(meta, dict):
        raise ValueError("webhook returned an object without metadata")  # noqa: TRY004 - what the webhook said, no type of ours
    for name in ("name", "namespace", "uid"):
        if meta.get(name) != was.get(name):
            raise ValueError(f"webhook changed metadata.{name} from {was.get(name)} to {meta.get(name)}")
    kept = {name: value for name, value in was.items() if name not in ("labels", "annotations")}
    kept |= {name: meta[name] for name in ("labels", "annotations") if meta.get(name)}
    tree.clear()
    tree.update(new)
    tree["metadata"] = kept
