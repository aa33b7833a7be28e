"""Kinds with one or two rules of their own: APIService, CustomResourceDefinition, ControllerRevision."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy
from bareboat.api.strategy import Strategy


class DefinitionStrategy(KindStrategy):
    def default(self, obj: Any) -> None:
        names = obj.spec.names
        names.singular = names.singular or names.kind.lower()
        names.listKind = names.listKind or (names.kind + "List" if names.kind else "")


STRATEGIES: dict[str, type[Strategy]] = {
    "apiextensions.k8s.io/customresourcedefinitions": DefinitionStrategy,
}
