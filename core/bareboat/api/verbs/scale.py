"""The scale subresource: one number of Deployments, ReplicaSets, StatefulSets and ReplicationControllers, as autoscaling/v1 Scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bareboat.api import answers, body
from bareboat.api.body import media_type
from bareboat.api.operation import Operation
from bareboat.api.request import ApiResponse
from bareboat.api.verbs.apply import APPLY_PATCH, applied, parse_config
from bareboat.api.verbs.patch import apply_document, check_options, read_patch
from bareboat.api.verbs.read import not_found
from bareboat.api.verbs.update import TRIES
from bareboat.api.writing import admission_request, changed_row, check_name, conflict, decode_tree, load, write_changed
from bareboat.models import autoscaling_v1, meta_v1
from bareboat.models.codec import copy, encode, to_tree
from bareboat.models.selectors import from_label_selector, from_labels
from bareboat.models.status import BadRequest, Cause, Invalid
from bareboat.store.entry import Entry
from bareboat.store.errors import CompareFailed

if TYPE_CHECKING:
    from bareboat.api.service import Service


async def run(service: Service, op: Operation) -> ApiResponse:
    form = answers.form_of(op)
    if op.info.verb == "get":
        current = service.log.get(op.key(op.info.name))
        if current is None:
            raise not_found(op)
        return answers.data(encode(_scale(await load(op, current), current)), form)
    applying = op.info.verb == "patch" and media_type(op.request.content_type) == APPLY_PATCH
    if op.info.verb == "patch":
        check_options(op)
    if applying:
        config = _read_config(op)
    elif op.info.verb == "patch":
        media, document = read_patch(op)
    else:
        wanted = body.read(op, autoscaling_v1.Scale, "Scale", "autoscaling/v1")
        check_name(op, wanted)
    for _ in range(TRIES):
        current = service.log.newest(op.key(op.info.name))
        if current is None:
            raise not_found(op)
        old = await load(op, current)
        if applying:
            new: Any = applied(op, old, config, None, force=op.request.flag("force"))
            wanted = _scale(new, current)
        elif op.info.verb == "patch":
            tree = apply_document(op, autoscaling_v1.Scale, to_tree(_scale(old, current)), media, document)
            wanted = decode_tree(op, autoscaling_v1.Scale, _json(tree), "Scale")
        _check(op, wanted, current)
        wanted = await admitted(service, op, wanted, _scale(old, current))
        if not applying:
            new = copy(old)
        new.spec.replicas = wanted.spec.replicas
        try:
            entry = await write_changed(service, op, await changed_row(service, op, new, old, current, tracked=applying, admitted=True))
        except CompareFailed:
            continue
        return answers.data(encode(_scale(await load(op, entry), entry)), form)
    raise conflict(op, op.info.name, "too many writers at once; try again")


async def admitted(service: Service, op: Operation, wanted: autoscaling_v1.Scale, old: autoscaling_v1.Scale) -> autoscaling_v1.Scale:
    """The Scale as admission leaves it. Raises ApiError."""
    request = admission_request(op, "UPDATE", wanted, old, op.info.name)
    await service.admission.admit(request)
    scale: autoscaling_v1.Scale = request.object
    return scale


def _read_config(op: Operation) -> dict[str, Any]:
    """An applied Scale as the part of its object that it names. Raises BadRequest."""
    config = parse_config(op.request.body)
    if (config.get("kind"), config.get("apiVersion")) != ("Scale", "autoscaling/v1"):
        raise BadRequest(f"invalid object type: {config.get('apiVersion')}, Kind={config.get('kind')}")
    spec = config.get("spec") or {}
    return {"spec": {"replicas": spec["replicas"]}} if "replicas" in spec else {}


def _json(tree: dict[str, Any]) -> bytes:
    import msgspec

    return msgspec.json.encode(tree)


def _check(op: Operation, wanted: autoscaling_v1.Scale, current: Entry) -> None:
    revision = wanted.metadata.resourceVersion
    if revision and revision != str(current.revision):
        raise conflict(op, op.info.name)
    replicas = wanted.spec.replicas or 0
    if replicas < 0:
        message = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise Invalid("Scale", op.info.name, [Cause("FieldValueInvalid", message, "spec.replicas")], group="autoscaling")


def _scale(obj: Any, entry: Entry) -> autoscaling_v1.Scale:
    """What an object says of its scale."""
    meta = obj.metadata
    selector = obj.spec.selector
    text = str(from_labels(selector) if isinstance(selector, dict) else from_label_selector(selector))
    return autoscaling_v1.Scale(
        metadata=meta_v1.ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            uid=meta.uid,
            resourceVersion=str(entry.revision),
            creationTimestamp=meta.creationTimestamp,
        ),
        spec=autoscaling_v1.ScaleSpec(replicas=obj.spec.replicas or 0),
        status=autoscaling_v1.ScaleStatus(replicas=obj.status.replicas or 0, selector=text),
    )
