"""PodDisruptionBudget, HorizontalPodAutoscaler, webhook configurations, flow control, certificates."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import KindStrategy, PlainStrategy
from bareboat.api.kinds.causes import immutable, invalid, non_negative, required
from bareboat.api.strategy import Strategy, SubresourceStrategy, WriteContext
from bareboat.models import admissionregistration_v1, meta_v1
from bareboat.models.status import Cause


class DisruptionBudgetStrategy(KindStrategy):
    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        if spec.minAvailable is not None and spec.maxUnavailable is not None:
            return [invalid("spec", {}, "minAvailable and maxUnavailable cannot be both set")]
        causes: list[Cause] = []
        for field in ("minAvailable", "maxUnavailable"):
            value = getattr(spec, field)
            if isinstance(value, int):
                causes += non_negative(f"spec.{field}", value)
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


class AutoscalerStrategy(PlainStrategy):
    def default(self, obj: Any) -> None:
        if obj.spec.minReplicas is None:
            obj.spec.minReplicas = 1

    def validate_create(self, obj: Any) -> list[Cause]:
        spec = obj.spec
        causes = [] if spec.maxReplicas >= 1 else [invalid("spec.maxReplicas", spec.maxReplicas, "must be greater than 0")]
        if spec.maxReplicas < (spec.minReplicas or 1):
            causes.append(invalid("spec.maxReplicas", spec.maxReplicas, "must be greater than or equal to `minReplicas`"))
        return causes

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return self.validate_create(new)


class WebhooksStrategy(KindStrategy):
    def default(self, obj: Any) -> None:
        for hook in obj.webhooks:
            hook.failurePolicy = hook.failurePolicy or "Fail"
            hook.matchPolicy = hook.matchPolicy or "Equivalent"
            hook.timeoutSeconds = 10 if hook.timeoutSeconds is None else hook.timeoutSeconds
            hook.namespaceSelector = hook.namespaceSelector or meta_v1.LabelSelector()
            hook.objectSelector = hook.objectSelector or meta_v1.LabelSelector()
            if isinstance(hook, admissionregistration_v1.MutatingWebhook):
                hook.reinvocationPolicy = hook.reinvocationPolicy or "Never"
            if hook.clientConfig.service is not None and hook.clientConfig.service.port is None:
                hook.clientConfig.service.port = 443
            for rule in hook.rules:
                rule.scope = rule.scope or "*"

    def validate_create(self, obj: Any) -> list[Cause]:
        causes: list[Cause] = []
        for i, hook in enumerate(obj.webhooks):
            if not hook.sideEffects:
                causes.append(required(f"webhooks[{i}].sideEffects", "must specify one of None, NoneOnDryRun"))
            if not hook.admissionReviewVersions:
                causes.append(required(f"webhooks[{i}].admissionReviewVersions", "must specify one of v1, v1beta1"))
        return causes


class Approval(SubresourceStrategy):
    """``certificatesigningrequests/approval``: only the conditions."""

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        conditions = new.status.conditions
        super().prepare_update(new, old, ctx)
        new.status = type(old.status)(conditions=conditions, certificate=old.status.certificate)
        for condition in new.status.conditions:
            condition.lastUpdateTime = condition.lastUpdateTime or ctx.now
            condition.lastTransitionTime = condition.lastTransitionTime or ctx.now


class SigningRequestStrategy(PlainStrategy):
    subresources = {"status": SubresourceStrategy(), "approval": Approval()}
    selectable = {"spec.signerName": lambda csr: csr.spec.signerName}

    def default(self, obj: Any) -> None:
        if not obj.spec.usages:
            obj.spec.usages = ["digital signature", "key encipherment"]

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        self.reset_status(obj)
        user = ctx.user
        obj.spec.username, obj.spec.uid = user.name, user.uid
        obj.spec.groups = list(user.groups)
        obj.spec.extra = {k: list(v) for k, v in user.extra.items()}

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        new.spec, new.status = old.spec, old.status

    def validate_update(self, new: Any, old: Any) -> list[Cause]:
        return immutable("spec", new.spec, old.spec)


STRATEGIES: dict[str, type[Strategy]] = {
    "policy/poddisruptionbudgets": DisruptionBudgetStrategy,
    "autoscaling/horizontalpodautoscalers": AutoscalerStrategy,
    "admissionregistration.k8s.io/mutatingwebhookconfigurations": WebhooksStrategy,
    "admissionregistration.k8s.io/validatingwebhookconfigurations": WebhooksStrategy,
    "certificates.k8s.io/certificatesigningrequests": SigningRequestStrategy,
}
