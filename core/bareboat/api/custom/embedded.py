"""Embedded resources: each has an apiVersion, a kind and metadata that follow the rules of every object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bareboat.api.custom.schema import Schema
from bareboat.api.kinds.causes import each, invalid, required
from bareboat.api.kinds.metadata import validate_annotations, validate_labels
from bareboat.models import meta_v1
from bareboat.models.codec import DecodeError, encode, from_tree
from bareboat.models.names import dns1035_label, dns1123_label
from bareboat.models.rawjson import parse, plain
from bareboat.models.status import Cause


def embedded(value: Any, schema: Schema, at: str = "") -> Iterator[Cause]:
    """The faults of all embedded resources below ``value``; their metadata is brought into canonical form on the way."""
    if schema.embedded and isinstance(value, dict):
        yield from _resource(value, at)
    if isinstance(value, dict):
        for name, item in value.items():
            below = schema.property(name)
            if below is not None and isinstance(item, dict | list):
                yield from embedded(item, below, f"{at}.{name}" if at else name)
    elif isinstance(value, list) and schema.items is not None:
        for index, item in enumerate(value):
            if isinstance(item, dict | list):
                yield from embedded(item, schema.items, f"{at}[{index}]")


def _resource(value: dict[str, Any], at: str) -> Iterator[Cause]:
    for name in ("apiVersion", "kind"):
        if not isinstance(value.get(name, ""), str) or not value.get(name):
            yield required(f"{at}.{name}", "must not be empty")
    kind = value.get("kind")
    if isinstance(kind, str) and kind and (faults := dns1035_label(kind.lower())):
        yield invalid(f"{at}.kind", kind, "may have mixed case, but should otherwise match: " + ",".join(faults))
    version = value.get("apiVersion")
    if isinstance(version, str) and version.count("/") > 1:
        yield invalid(f"{at}.apiVersion", version, f"unexpected GroupVersion string: {version}")
    yield from _metadata(value, f"{at}.metadata")


def _metadata(value: dict[str, Any], at: str) -> Iterator[Cause]:
    given = value.get("metadata")
    if given is None:
        return
    try:
        meta = from_tree(meta_v1.ObjectMeta, given if isinstance(given, dict) else {"name": given})
    except DecodeError as error:
        yield invalid(at, given, str(error))
        return
    if isinstance(given, dict):
        value["metadata"] = {k: v for k, v in plain(parse(encode(meta))).items() if k in given or v is not None}
    yield from validate_labels(meta.labels, f"{at}.labels")
    yield from validate_annotations(meta.annotations, f"{at}.annotations")
    if meta.namespace:
        yield from each(f"{at}.namespace", meta.namespace, dns1123_label(meta.namespace))
