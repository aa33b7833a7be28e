"""Rows of what makes pods."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bareboat.api.tables.values import NONE, age, containers, duration, labels, selector
from bareboat.models.meta import is_condition_true
from bareboat.models.times import parse


def _born(o: Any, now: datetime) -> str:
    return age(o.metadata.creationTimestamp, now)


def deployment(o: Any, now: datetime) -> list[Any]:
    s = o.status
    names, images = containers(o.spec.template)
    ready = f"{s.readyReplicas}/{o.spec.replicas or 0}"
    return [
        o.metadata.name,
        ready,
        s.updatedReplicas,
        s.availableReplicas,
        _born(o, now),
        names,
        images,
        selector(o.spec.selector),
    ]


def replicas(o: Any, now: datetime) -> list[Any]:
    """ReplicaSet and ReplicationController."""
    names, images = containers(o.spec.template)
    s = o.status
    return [o.metadata.name, o.spec.replicas or 0, s.replicas, s.readyReplicas, _born(o, now), names, images, selector(o.spec.selector)]


def stateful_set(o: Any, now: datetime) -> list[Any]:
    names, images = containers(o.spec.template)
    return [o.metadata.name, f"{o.status.readyReplicas}/{o.spec.replicas or 0}", _born(o, now), names, images]


def daemon_set(o: Any, now: datetime) -> list[Any]:
    s = o.status
    names, images = containers(o.spec.template)
    return [
        o.metadata.name,
        s.desiredNumberScheduled,
        s.currentNumberScheduled,
        s.numberReady,
        s.updatedNumberScheduled,
        s.numberAvailable,
        labels(o.spec.template.spec.nodeSelector),
        _born(o, now),
        names,
        images,
        selector(o.spec.selector),
    ]


def job(o: Any, now: datetime) -> list[Any]:
    names, images = containers(o.spec.template)
    spec, status = o.spec, o.status
    if spec.completions is not None:
        completions = f"{status.succeeded}/{spec.completions}"
    else:
        parallel = spec.parallelism or 0
        completions = f"{status.succeeded}/1 of {parallel}" if parallel > 1 else f"{status.succeeded}/1"
    taken = ""
    if status.startTime:
        end = parse(status.completionTime) if status.completionTime else now
        taken = duration((end - parse(status.startTime)).total_seconds())
    state = _job_state(o)
    return [o.metadata.name, state, completions, taken, _born(o, now), names, images, selector(spec.selector)]


def _job_state(o: Any) -> str:
    for condition, word in (("Complete", "Complete"), ("Failed", "Failed")):
        if is_condition_true(o.status.conditions, condition):
            return word
    if o.metadata.deletionTimestamp:
        return "Terminating"
    for condition in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if is_condition_true(o.status.conditions, condition):
            return condition
    return "Running"


def cron_job(o: Any, now: datetime) -> list[Any]:
    names, images = containers(o.spec.jobTemplate.spec.template)
    last = age(o.status.lastScheduleTime, now) if o.status.lastScheduleTime else NONE
    return [
        o.metadata.name,
        o.spec.schedule,
        o.spec.timeZone or NONE,
        str(bool(o.spec.suspend)),
        len(o.status.active),
        last,
        _born(o, now),
        names,
        images,
        NONE,
    ]


def autoscaler(o: Any, now: datetime) -> list[Any]:
    target = o.spec.scaleTargetRef
    low = str(o.spec.minReplicas) if o.spec.minReplicas is not None else "<unset>"
    targets = _targets(o)
    return [
        o.metadata.name,
        f"{target.kind}/{target.name}",
        targets,
        low,
        o.spec.maxReplicas,
        o.status.currentReplicas,
        _born(o, now),
    ]


def _targets(o: Any) -> str:
    if not hasattr(o.spec, "metrics"):
        used, wanted = o.status.currentCPUUtilizationPercentage, o.spec.targetCPUUtilizationPercentage
        return f"cpu: {'<unknown>' if used is None else f'{used}%'}/{'<auto>' if wanted is None else f'{wanted}%'}"
    shown = []
    for index, metric in enumerate(o.spec.metrics):
        source = getattr(metric, metric.type[:1].lower() + metric.type[1:], None)
        if metric.type != "Resource" or source is None:
            shown.append("<unknown>")
            continue
        current = o.status.currentMetrics[index] if index < len(o.status.currentMetrics) else None
        value = current.resource.current if current is not None and current.resource is not None else None
        if source.target.averageUtilization is not None:
            used = f"{value.averageUtilization}%" if value is not None and value.averageUtilization is not None else "<unknown>"
            shown.append(f"{source.name}: {used}/{source.target.averageUtilization}%")
        else:
            shown.append(f"{source.name}: {value.averageValue if value is not None else '<unknown>'}/{source.target.averageValue}")
    return ", ".join(shown[:2]) + (f" + {len(shown) - 2} more..." if len(shown) > 2 else "") or NONE


def revision(o: Any, now: datetime) -> list[Any]:
    owner = next((r for r in o.metadata.ownerReferences if r.controller), None)
    kind = ""
    if owner is not None:
        group = owner.apiVersion.rpartition("/")[0]
        kind = f"{owner.kind.lower()}{'.' + group if group else ''}/{owner.name}"
    return [o.metadata.name, kind or NONE, o.revision, _born(o, now)]


def template(o: Any, now: datetime) -> list[Any]:
    names, images = containers(o.template)
    return [o.metadata.name, names, images, labels(o.template.metadata.labels)]


CELLS = {
    "Deployment": deployment,
    "ReplicaSet": replicas,
    "ReplicationController": replicas,
    "StatefulSet": stateful_set,
    "DaemonSet": daemon_set,
    "Job": job,
    "CronJob": cron_job,
    "HorizontalPodAutoscaler": autoscaler,
    "ControllerRevision": revision,
    "PodTemplate": template,
}
