"""The scale subresource of custom kinds: replicas and selector at the paths that the definition names, as autoscaling/v1 Scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bareboat.api import answers, body
from bareboat.api.body import media_type
from bareboat.api.custom.definition import Version
from bareboat.api.custom.schema import Tree
from bareboat.api.kinds.causes import invalid
from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.models import autoscaling_v1, meta_v1
from bareboat.models.codec import copy, encode, to_tree
from bareboat.models.custom import CustomObject
from bareboat.models.selectors import parse_labels
from bareboat.models.status import Cause, InternalError
from bareboat.store.entry import Entry
from bareboat.store.errors import CompareFailed

if TYPE_CHECKING:
    from bareboat.api.service import Service


_MOST = 2**31 - 1


async def run(service: Service, op: Operation) -> ApiResponse:
    from bareboat.api.verbs.apply import APPLY_PATCH
    from bareboat.api.verbs.patch import check_options
    from bareboat.api.verbs.read import find
    from bareboat.api.verbs.scale import admitted
    from bareboat.api.verbs.update import TRIES
    from bareboat.api.writing import changed_row, conflict, load, write_changed

    form = answers.negotiate(op.request)
    if op.info.verb == "get":
        entry = find(service, op)
        return answers.data(encode(_scale(op, await load(op, entry), entry)), form)
    if op.info.verb == "patch":
        check_options(op)
    applying = op.info.verb == "patch" and media_type(op.request.content_type) == APPLY_PATCH
    for _ in range(TRIES):
        current = service.log.newest(op.key(op.info.name)) or find(service, op)
        old = await load(op, current)
        new = _applied(op, old) if applying else _changed(op, old, current)
        asked = _scale(op, new, current)
        replicas = asked.spec.replicas
        asked = await admitted(service, op, asked, _scale(op, old, current))
        if asked.spec.replicas != replicas:
            _put(new.content, _paths(op)["specReplicasPath"], asked.spec.replicas or 0)
        try:
            entry = await write_changed(service, op, await changed_row(service, op, new, old, current, tracked=applying, admitted=True))
        except CompareFailed:
            continue
        return answers.data(encode(_scale(op, await load(op, entry), entry)), form)
    raise conflict(op, op.info.name, "too many writers at once; try again")


def _changed(op: Operation, old: CustomObject, current: Entry) -> CustomObject:
    """``old`` with the replicas that a PUT or a patch wants."""
    from bareboat.api.verbs.patch import apply_document, read_patch
    from bareboat.api.verbs.scale import _check
    from bareboat.api.writing import check_name, decode_tree

    if op.info.verb == "patch":
        media, document = read_patch(op)
        tree = apply_document(op, autoscaling_v1.Scale, to_tree(_scale(op, old, current)), media, document)
        wanted: autoscaling_v1.Scale = decode_tree(op, autoscaling_v1.Scale, msgspec.json.encode(tree), "Scale")
    else:
        wanted = body.read(op, autoscaling_v1.Scale, "Scale", "autoscaling/v1")
        check_name(op, wanted)
    _check(op, wanted, current)
    new = copy(old)
    _put(new.content, _paths(op)["specReplicasPath"], wanted.spec.replicas or 0)
    return new


def _applied(op: Operation, old: CustomObject) -> CustomObject:
    from bareboat.api.verbs.apply import applied, parse_config

    config = parse_config(op.request.body)
    replicas = (config.get("spec") or {}).get("replicas")
    wanted: Tree = {}
    if replicas is not None:
        _put(wanted, _paths(op)["specReplicasPath"], replicas)
    new: CustomObject = applied(op, old, wanted, None, force=op.request.flag("force"))
    return new


def _paths(op: Operation) -> Tree:
    assert op.custom is not None
    scale = op.custom.version.scale
    assert scale is not None
    return scale


def _scale(op: Operation, obj: CustomObject, entry: Entry) -> autoscaling_v1.Scale:
    """What an object says of its scale. Raises InternalError where it has no replicas."""
    meta, paths = obj.metadata, _paths(op)
    replicas = _get(obj.content, paths["specReplicasPath"])
    if replicas is None:
        raise InternalError(f'the spec replicas field "{paths["specReplicasPath"]}" does not exist', reason="")
    selector = _get(obj.content, paths.get("labelSelectorPath") or "")
    return autoscaling_v1.Scale(
        metadata=meta_v1.ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            uid=meta.uid,
            resourceVersion=str(entry.revision),
            creationTimestamp=meta.creationTimestamp,
        ),
        spec=autoscaling_v1.ScaleSpec(replicas=_int(replicas)),
        status=autoscaling_v1.ScaleStatus(
            replicas=_int(_get(obj.content, paths["statusReplicasPath"])), selector=selector if isinstance(selector, str) else ""
        ),
    )


def scale_faults(version: Version, obj: CustomObject) -> list[Cause]:
    """What the paths of the scale lead to must be numbers of replicas and a selector."""
    paths = version.scale
    if paths is None:
        return []
    causes: list[Cause] = []
    for path in (paths["specReplicasPath"], paths["statusReplicasPath"]):
        value = _get(obj.content, path)
        if isinstance(value, int) and not isinstance(value, bool):
            if value < 0:
                causes.append(invalid(path, value, "should be a non-negative integer"))
            elif value > _MOST:
                causes.append(invalid(path, value, f"should be less than or equal to {_MOST}"))
    selector = _get(obj.content, paths.get("labelSelectorPath") or "")
    if isinstance(selector, str):
        try:
            parse_labels(selector)
        except ValueError as error:
            causes.append(invalid(paths["labelSelectorPath"], selector, str(error)))
    return causes


def _int(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _names(path: str) -> list[str]:
    return [name for name in path.split(".") if name]


def _get(tree: Any, path: str) -> Any:
    names = _names(path)
    for name in names:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree if names else None


def _put(tree: Tree, path: str, value: Any) -> None:
    *names, last = _names(path)
    for name in names:
        below = tree.get(name)
        if not isinstance(below, dict):
            below = tree[name] = {}
        tree = below
    tree[last] = value
