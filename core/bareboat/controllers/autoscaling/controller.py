"""Every fifteen seconds: read the scale, ask the metrics, write the scale, say why. Keys are HorizontalPodAutoscalers."""

from __future__ import annotations

import msgspec

from bareboat.client.client import collection
from bareboat.controllers.autoscaling.behavior import History, decide
from bareboat.controllers.autoscaling.evaluation import CannotScale, Evaluation
from bareboat.controllers.autoscaling.metrics import ResourceMetrics
from bareboat.controllers.freshness import Written
from bareboat.controllers.labelled import labelled_pods
from bareboat.models import autoscaling_v1, autoscaling_v2
from bareboat.models.codec import copy, decode, encode
from bareboat.models.meta import set_condition
from bareboat.reconcile.controller import Controller, ControllerContext
from bareboat.reconcile.informer import InformerFactory

PERIOD = 15.0
Autoscaler = autoscaling_v2.HorizontalPodAutoscaler


class HorizontalPodAutoscalerController(Controller):
    name = "horizontal-pod-autoscaler"

    def __init__(self, context: ControllerContext) -> None:
        self._written = Written()
        self._histories: dict[str, History] = {}
        super().__init__(context)

    def setup(self, informers: InformerFactory) -> None:
        self._autoscalers = self.watch(informers.of(Autoscaler))
        self._pods = labelled_pods(informers)
        self._needs.append(self._pods)
        self._evaluation = Evaluation(ResourceMetrics(self.client), self._pods, self.clock)
        self._due: dict[str, float] = {}

    async def reconcile(self, key: str) -> float | None:
        autoscaler = self._autoscalers.get(key)
        if autoscaler is None:
            self._written.forget(key)
            self._histories.pop(key, None)
            self._due.pop(key, None)
            return None
        if self._written.stale(autoscaler):
            return 0.05
        now = self.clock.monotonic()
        wait = self._due.get(key, 0.0) - now
        if wait > 0 and autoscaler.status.observedGeneration == autoscaler.metadata.generation:
            return wait  # its own status brought it here
        self._due[key] = now + PERIOD
        before = copy(autoscaler.status)
        autoscaler.status.observedGeneration = autoscaler.metadata.generation
        await self._autoscale(key, autoscaler)
        if autoscaler.status != before:
            self._written.note(await self.client.update(autoscaler, subresource="status"))
        return PERIOD

    async def _autoscale(self, key: str, autoscaler: Autoscaler) -> None:
        try:
            path, scale = await self._scale_of(autoscaler)
        except CannotScale as error:
            self.events.event(autoscaler, "Warning", error.reason, str(error))
            message = f"the HPA controller was unable to get the target's current scale: {error}"
            self._note(autoscaler, "AbleToScale", "False", error.reason, message)
            return
        self._note(autoscaler, "AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale")
        current = scale.spec.replicas
        autoscaler.status.currentReplicas = scale.status.replicas
        try:
            desired, why = await self._desired(key, autoscaler, scale)
        except CannotScale as error:
            self.events.event(autoscaler, "Warning", error.reason, str(error))
            self._note(autoscaler, "ScalingActive", "False", error.reason, str(error))
            autoscaler.status.desiredReplicas = current
            return
        autoscaler.status.desiredReplicas = desired
        if desired != current:
            await self._rescale(key, autoscaler, path, scale, desired, why)

    async def _scale_of(self, autoscaler: Autoscaler) -> tuple[str, autoscaling_v1.Scale]:
        target = autoscaler.spec.scaleTargetRef
        resource = self.client.scheme.by_kind(target.apiVersion, target.kind)
        if resource is None:
            raise CannotScale("FailedGetScale", f'no matches for kind "{target.kind}" in version "{target.apiVersion}"')
        path = f"{collection(resource, autoscaler.metadata.namespace)}/{target.name}/scale"
        answer = await self.client.transport.request("GET", path)
        if answer.status != 200:
            failure = msgspec.json.decode(answer.body)
            raise CannotScale("FailedGetScale", failure.get("message") or f"HTTP {answer.status}")
        return path, decode(autoscaling_v1.Scale, answer.body)

    async def _desired(self, key: str, autoscaler: Autoscaler, scale: autoscaling_v1.Scale) -> tuple[int, str]:
        """The wanted number and why. Raises CannotScale."""
        spec, current = autoscaler.spec, scale.spec.replicas
        least = 1 if spec.minReplicas is None else spec.minReplicas
        if current == 0 and least != 0:
            message = "scaling is disabled since the replica count of the target is zero"
            self._note(autoscaler, "ScalingActive", "False", "ScalingDisabled", message)
            return 0, ""
        if current > spec.maxReplicas:
            return spec.maxReplicas, "Current number of replicas above Spec.MaxReplicas"
        if current < least:
            return least, "Current number of replicas below Spec.MinReplicas"
        found = await self._evaluation.run(autoscaler, scale)
        autoscaler.status.currentMetrics = found.statuses
        message = f"the HPA was able to successfully calculate a replica count from {found.metric}"
        self._note(autoscaler, "ScalingActive", "True", "ValidMetricFound", message)
        history = self._histories.setdefault(key, History())
        verdict = decide(found.replicas, current, least, spec.maxReplicas, autoscaler, history, self.clock.monotonic())
        able = verdict.stabilized if verdict.stabilized[0] else ("ReadyForNewScale", "recommended size matches current size")
        self._note(autoscaler, "AbleToScale", "True", *able)
        limited = verdict.limited if verdict.limited[0] else ("DesiredWithinRange", "the desired count is within the acceptable range")
        self._note(autoscaler, "ScalingLimited", "True" if verdict.limited[0] else "False", *limited)
        return verdict.replicas, f"{found.metric} above target" if verdict.replicas > current else "All metrics below target"

    async def _rescale(self, key: str, autoscaler: Autoscaler, path: str, scale: autoscaling_v1.Scale, desired: int, why: str) -> None:
        current, scale.spec.replicas = scale.spec.replicas, desired
        answer = await self.client.transport.request("PUT", path, body=encode(scale))
        if answer.status >= 400:
            message = f"the HPA controller was unable to update the target scale: {msgspec.json.decode(answer.body).get('message', '')}"
            self.events.event(autoscaler, "Warning", "FailedRescale", f"New size: {desired}; reason: {why}; error: {message}")
            self._note(autoscaler, "AbleToScale", "False", "FailedUpdateScale", message)
            autoscaler.status.desiredReplicas = current
            return
        message = f"the HPA controller was able to update the target scale to {desired}"
        self._note(autoscaler, "AbleToScale", "True", "SucceededRescale", message)
        self.events.event(autoscaler, "Normal", "SuccessfulRescale", f"New size: {desired}; reason: {why}")
        self._histories.setdefault(key, History()).scaled(self.clock.monotonic(), desired - current)
        autoscaler.status.lastScaleTime = self.clock.timestamp()

    def _note(self, autoscaler: Autoscaler, kind: str, status: str, reason: str, message: str) -> None:
        now, cls = self.clock.timestamp(), autoscaling_v2.HorizontalPodAutoscalerCondition
        set_condition(autoscaler.status.conditions, kind, status, reason, message, now, cls=cls)
