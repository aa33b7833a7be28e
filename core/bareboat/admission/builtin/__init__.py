"""Admission plugins that every cluster has, one module each."""

from __future__ import annotations

from bareboat.contracts.admission import AdmissionHost, AdmissionPlugin
from bareboat.contracts.auth import Reader


def builtin(reader: Reader, host: AdmissionHost) -> list[AdmissionPlugin]:
    """In the order in which they run."""
    from bareboat.admission.builtin.namespace_lifecycle import NamespaceLifecycle
    from bareboat.admission.builtin.priority import Priority
    from bareboat.admission.builtin.service_account import ServiceAccount
    from bareboat.admission.builtin.tolerations import DefaultTolerationSeconds, TaintNodesByCondition
    from bareboat.admission.policies.mutating import MutatingAdmissionPolicy
    from bareboat.admission.policies.validating import ValidatingAdmissionPolicy
    from bareboat.admission.webhooks.plugin import MutatingAdmissionWebhook, ValidatingAdmissionWebhook

    return [
        NamespaceLifecycle(reader),
        ServiceAccount(reader),
        TaintNodesByCondition(),
        Priority(reader),
        DefaultTolerationSeconds(),
        MutatingAdmissionPolicy(reader, host),
        ValidatingAdmissionPolicy(reader, host),
        MutatingAdmissionWebhook(reader, host),
        ValidatingAdmissionWebhook(reader, host),
    ]
