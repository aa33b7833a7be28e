"""For tables of rules: a manifest that is right, one value of it changed, and the causes that follow.

A cause is written ``Type field``, the type without ``FieldValue``. A path is written with slashes; None takes the value away.
"""

import copy

import msgspec
import pytest

from bareboat.api.kinds.registry import strategy_for
from bareboat.api.strategy import WriteContext
from bareboat.base.ids import SystemIds
from bareboat.contracts.auth import UserInfo
from bareboat.models.codec import decode, to_tree
from bareboat.models.scheme import Scheme

SCHEME = Scheme.builtin()


def _changed(manifest, path, value):
    tree = copy.deepcopy(manifest)
    *way, last = [int(part) if part.lstrip("-").isdigit() else part for part in path.split("/")]
    at = tree
    for part in way:
        at = at[part] if isinstance(at, list) else at.setdefault(part, {})
    if value is None:
        del at[last]
    elif isinstance(at, list) and last == len(at):
        at.append(value)
    else:
        at[last] = value
    return tree


def _made(manifest, path, value):
    resource = SCHEME.by_kind(manifest["apiVersion"], manifest["kind"])
    tree = _changed(manifest, path, value) if path else manifest
    obj = decode(resource.type, msgspec.json.encode(tree))
    strategy = strategy_for(resource)
    strategy.default(obj)
    return strategy, obj


def _written(causes):
    return sorted({f"{cause.type.removeprefix('FieldValue')} {cause.field}" for cause in causes})


def _context():
    return WriteContext(UserInfo(name="admin"), "2026-01-01T00:00:00Z", SystemIds())


@pytest.fixture
def defaulted():
    """The object as it is stored."""

    def of(manifest, path="", value=None):
        strategy, obj = _made(manifest, path, value)
        obj.metadata.uid = "u"
        strategy.prepare_create(obj, _context())
        return obj

    return of


@pytest.fixture
def create():
    """What is wrong with a new object."""

    def of(manifest, path="", value=None):
        strategy, obj = _made(manifest, path, value)
        obj.metadata.uid = "u"
        context = _context()
        strategy.prepare_create(obj, context)
        return _written(context.causes + strategy.validate_create(obj))

    return of


@pytest.fixture
def update():
    """What is wrong with a change, of the object itself or of a part."""

    def of(manifest, path, value, part=""):
        strategy, old = _made(manifest, "", None)
        old.metadata.uid = "u"
        strategy.prepare_create(old, _context())
        new = _made(to_tree(old), path, value)[1]
        context = _context()
        judge = strategy.subresources[part] if part else strategy
        judge.prepare_update(new, old, context)
        return _written(context.causes + judge.validate_update(new, old))

    return of


@pytest.fixture
def warnings():
    def of(manifest, path="", value=None):
        strategy, obj = _made(manifest, path, value)
        return strategy.warnings(obj, None)

    return of
