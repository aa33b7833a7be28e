"""Label and field selectors over stored bytes: only what a selector needs is decoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bareboat.api.operation import Operation
from bareboat.models.codec import decode
from bareboat.models.custom import CustomObject
from bareboat.models.selectors import Selector, parse_fields, parse_labels
from bareboat.models.status import BadRequest
from bareboat.store.entry import Change

Match = Callable[[bytes], bool]


class _Meta(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}


class _Labeled(msgspec.Struct, gc=False):
    metadata: _Meta


_decode_labels = msgspec.json.Decoder(_Labeled).decode


def matcher(op: Operation) -> Match | None:
    """The request's selectors as one test on an object's bytes; None if there are none. Raises BadRequest."""
    tests = [t for t in (_labels(op), _fields(op)) if t is not None]
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda data: all(test(data) for test in tests)


def label_selector(op: Operation) -> Selector | None:
    """Raises BadRequest."""
    text = op.request.first("labelSelector")
    if not text:
        return None
    try:
        return parse_labels(text)
    except ValueError as error:
        raise BadRequest(f"unable to parse requirement: {error}") from error


def field_terms(op: Operation) -> list[tuple[str, str, str]]:
    """Raises BadRequest."""
    text = op.request.first("fieldSelector")
    if not text:
        return []
    try:
        return parse_fields(text)
    except ValueError as error:
        raise BadRequest(str(error)) from error


def concerns(op: Operation) -> Callable[[Change], bool] | None:
    """Whether a change may matter to who watches by fields: a look for the value in the bytes, before and after. Thousands of
    nodes watch their own pods, and nearly every change is none of theirs."""
    wanted = [needle for _, operator, value in field_terms(op) if operator != "!=" and (needle := _needle(value))]
    if not wanted or op.custom is not None:
        return None
    needle = wanted[0]
    return lambda change: needle in change.entry.data or (change.previous is not None and needle in change.previous.data)


def _labels(op: Operation) -> Match | None:
    selector = label_selector(op)
    if selector is None:
        return None
    return lambda data: selector.matches(_decode_labels(data).metadata.labels)


def _fields(op: Operation) -> Match | None:
    terms = field_terms(op)
    if not terms:
        return None
    tests = [_field_test(op, path, operator, value) for path, operator, value in terms]
    return lambda data: all(test(data) for test in tests)


def _field_test(op: Operation, path: str, operator: str, value: str) -> Match:
    wanted = operator != "!="
    if path in ("metadata.name", "metadata.namespace"):
        attribute = path.removeprefix("metadata.")
        return lambda data: (getattr(_decode_labels(data).metadata, attribute) == value) is wanted
    getter = op.strategy.fields(op.resource.group).get(path)
    if getter is None:
        raise BadRequest(f"field label not supported: {path}")
    cls: Any = op.stored.type if op.custom is None else CustomObject
    needle = _needle(value) if op.custom is None else b""

    def test(data: bytes) -> bool:
        if wanted and needle and needle not in data:  # most objects are ruled out without decoding
            return False
        return (getter(decode(cls, data)) == value) is wanted

    return test


def _needle(value: str) -> bytes:
    """What is in the bytes of every object that has this value; empty for what may be a number or a boolean there, or nothing."""
    return b"" if not value or value in ("true", "false") or value.isdigit() else msgspec.json.encode(value)


def single_name(op: Operation) -> str:
    """The name of ``metadata.name=X`` alone, so that one object is watched by its key; "" otherwise."""
    text = op.request.first("fieldSelector")
    if not text.startswith("metadata.name=") or "," in text or not (op.info.namespace or not op.resource.namespaced):
        return ""
    terms = parse_fields(text)
    return terms[0][2] if len(terms) == 1 and terms[0][1] != "!=" else ""
