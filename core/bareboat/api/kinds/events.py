"""Event, as core/v1 has it and as events.k8s.io/v1, whose clients are held to more."""

from __future__ import annotations

from typing import Any

from bareboat.api.kinds.base import PlainStrategy
from bareboat.api.kinds.causes import each, immutable, invalid, required
from bareboat.api.strategy import Strategy, WriteContext
from bareboat.models.names import dns1123_label, qualified_name
from bareboat.models.status import Cause

_SHORT, _LONG = 128, 1024
_FIXED = (  # upstream compares the reason twice
    *("involvedObject", "reason", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count"),
    *("reportingComponent", "reportingInstance", "action", "related", "type"),
)
_SHOWN = {"reportingComponent": "reportingController"}


class EventStrategy(PlainStrategy):
    allow_create_on_update = True
    selectable = {
        "involvedObject.kind": lambda e: e.involvedObject.kind,
        "involvedObject.namespace": lambda e: e.involvedObject.namespace,
        "involvedObject.name": lambda e: e.involvedObject.name,
        "involvedObject.uid": lambda e: e.involvedObject.uid,
        "involvedObject.apiVersion": lambda e: e.involvedObject.apiVersion,
        "involvedObject.resourceVersion": lambda e: e.involvedObject.resourceVersion,
        "involvedObject.fieldPath": lambda e: e.involvedObject.fieldPath,
        "reason": lambda e: e.reason,
        "reportingComponent": lambda e: e.reportingComponent,
        "source": lambda e: e.source.component or e.reportingComponent,
        "type": lambda e: e.type,
    }

    def fields(self, group: str) -> dict[str, Any]:
        return _MODERN if group == "events.k8s.io" else self.selectable

    def prepare_create(self, obj: Any, ctx: WriteContext) -> None:
        ctx.causes += _legacy(obj, ctx.group)
        if ctx.group == "events.k8s.io":
            ctx.causes += _modern(obj)

    def prepare_update(self, new: Any, old: Any, ctx: WriteContext) -> None:
        if ctx.group != "events.k8s.io":
            ctx.causes += _legacy(new, ctx.group)
            return
        if new.eventTime:
            ctx.causes += _reported(new, "reportingController")
        for field in _FIXED:
            ctx.causes += immutable(_SHOWN.get(field, field), getattr(new, field), getattr(old, field))
        ctx.causes += immutable("eventTime", new.eventTime, old.eventTime)
        if new.series != old.series:
            ctx.causes += _series(new)


#: The selectable fields by their names in events.k8s.io.
_MODERN = {
    path.replace("involvedObject.", "regarding.").replace("reportingComponent", "reportingController"): getter
    for path, getter in EventStrategy.selectable.items()
    if path != "source"
}


def _legacy(event: Any, group: str) -> list[Cause]:
    """For both groups; the reporter is asked for once there is an event time."""
    space, wanted = event.metadata.namespace, event.involvedObject.namespace
    causes: list[Cause] = []
    if (not wanted and space not in ("", "default")) or (wanted and wanted != space):
        causes.append(invalid("involvedObject.namespace", wanted, "does not match event.namespace"))
    if event.eventTime:
        reporter = "reportingController" if group == "events.k8s.io" else "reportingComponent"
        causes += _reported(event, reporter)
    return causes + each("namespace", space, dns1123_label(space))


def _reported(event: Any, reporter: str) -> list[Cause]:
    name = event.reportingComponent
    causes = ([] if name else [required(reporter)]) + each(reporter, name, qualified_name(name))
    for field in ("reportingInstance", "action", "reason"):
        value = getattr(event, field)
        if not value:
            causes.append(required(field))
        elif len(value.encode()) > _SHORT:
            causes.append(invalid(field, "", f"can have at most {_SHORT} characters"))
    if len(event.message.encode()) > _LONG:
        causes.append(invalid("message", "", f"can have at most {_LONG} characters"))
    return causes


def _modern(event: Any) -> list[Cause]:
    causes = _series(event)
    if not event.eventTime:
        causes.append(required("eventTime"))
    if event.type not in ("Normal", "Warning"):
        causes.append(invalid("type", "", f"has invalid value: {event.type}"))
    unset = [name for name in ("firstTimestamp", "lastTimestamp", "count") if getattr(event, name)]
    if event.source.component or event.source.host:
        unset.append("source")
    return causes + [invalid(name, "", "needs to be unset") for name in unset]


def _series(event: Any) -> list[Cause]:
    series = event.series
    if series is None:
        return []
    causes: list[Cause] = []
    if series.count < 2:
        causes.append(invalid("series.count", "", "should be at least 2"))
    if not series.lastObservedTime:
        causes.append(required("series.lastObservedTime"))
    return causes


STRATEGIES: dict[str, type[Strategy]] = {"core/events": EventStrategy}
