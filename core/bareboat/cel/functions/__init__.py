"""The function libraries of Kubernetes. Each module has a table ``FUNCTIONS``; nothing here knows how expressions are evaluated."""

from __future__ import annotations

from bareboat.cel.functions import addresses, authorizer, lists, patches, quantities, texts, times, urls, versions
from bareboat.cel.functions.function import Function

ALL: tuple[Function, ...] = (
    *quantities.FUNCTIONS,
    *urls.FUNCTIONS,
    *addresses.FUNCTIONS,
    *texts.FUNCTIONS,
    *lists.FUNCTIONS,
    *versions.FUNCTIONS,
    *times.FUNCTIONS,
    *authorizer.FUNCTIONS,
    *patches.FUNCTIONS,
)
