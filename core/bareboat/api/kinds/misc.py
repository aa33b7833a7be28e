"""Kinds with one or two rules of their own: APIService, CustomResourceDefinition, ControllerRevision."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy, PlainStrategy
from bareboat.api.kinds.causes import immutable
from bareboat.api.strategy import Strategy
from bareboat.models.status import Cause


class RevisionStrategy(PlainStrategy):
    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return immutable("data", new.data, old.data)


class APIServiceStrategy(PlainStrategy):
    def default(self, obj: Any) -> None:
        if obj.spec.service is not None and obj.spec.service.port is None:
            obj.spec.service.port = 443


class DefinitionStrategy(KindStrategy):
    def default(self, obj: Any) -> None:
        names = obj.spec.names
        names.singular = names.singular or names.kind.lower()
        names.listKind = names.listKind or (names.kind + "List" if names.kind else "")


STRATEGIES: dict[str, type[Strategy]] = {
    "apps/controllerrevisions": RevisionStrategy,
    "apiregistration.k8s.io/apiservices": APIServiceStrategy,
    "apiextensions.k8s.io/customresourcedefinitions": DefinitionStrategy,
}
