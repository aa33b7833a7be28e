"""apps, batch, autoscaling and policy: what keeps pods."""

import pytest

META = {"name": "a", "namespace": "default"}
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
SELECTED = {"selector": {"matchLabels": {"app": "a"}}, "template": TEMPLATE}
ONCE = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}


def _of(version, kind, spec):
    return {"apiVersion": version, "kind": kind, "metadata": META, "spec": spec}


DEPLOYMENT = _of("apps/v1", "Deployment", SELECTED)
JOB = _of("batch/v1", "Job", {"template": ONCE})
INDEXED = _of("batch/v1", "Job", {"template": ONCE, "completionMode": "Indexed", "completions": 3, "parallelism": 3})
HPA = _of(
    "autoscaling/v2",
    "HorizontalPodAutoscaler",
    {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}, "maxReplicas": 3, "behavior": {"scaleUp": {}}},
)
NAMED = {
    "deployment": DEPLOYMENT,
    "replicaset": _of("apps/v1", "ReplicaSet", SELECTED),
    "statefulset": _of("apps/v1", "StatefulSet", {**SELECTED, "serviceName": "a", "volumeClaimTemplates": []}),
    "daemonset": _of("apps/v1", "DaemonSet", SELECTED),
    "controller": _of("v1", "ReplicationController", {"selector": {"app": "a"}, "template": TEMPLATE}),
    "revision": {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": META, "data": {"a": 1}, "revision": 1},
    "job": JOB,
    "indexed": INDEXED,
    "cronjob": _of("batch/v1", "CronJob", {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": ONCE}}}),
    "hpa": HPA,
    "pdb": _of("policy/v1", "PodDisruptionBudget", {"selector": {"matchLabels": {"app": "a"}}, "minAvailable": 1}),
}
T = "spec.template.spec"
RULE = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 2]}}
METRIC = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
WRONG = [
    ("deployment", "spec/selector", None, "Invalid spec.template.metadata.labels; Required spec.selector"),
    ("deployment", "spec/selector", {}, "Invalid spec.selector"),
    ("deployment", "spec/template/metadata/labels", {"app": "b"}, "Invalid spec.template.metadata.labels"),
    ("deployment", "spec/template/spec/containers", [], f"Required {T}.containers"),
    ("deployment", "spec/template/spec/restartPolicy", "Never", f"NotSupported {T}.restartPolicy"),
    ("deployment", "spec/template/spec/activeDeadlineSeconds", 5, f"Forbidden {T}.activeDeadlineSeconds"),
    ("deployment", "spec/replicas", -1, "Invalid spec.replicas"),
    ("deployment", "spec/minReadySeconds", -1, "Invalid spec.minReadySeconds"),
    ("deployment", "spec/progressDeadlineSeconds", 0, "Invalid spec.progressDeadlineSeconds"),
    ("deployment", "spec/strategy", {"type": "Both"}, "NotSupported spec.strategy"),
    ("deployment", "spec/strategy", {"type": "Recreate", "rollingUpdate": {}}, "Forbidden spec.strategy.rollingUpdate"),
    (
        "deployment",
        "spec/strategy",
        {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}},
        "Invalid spec.strategy.rollingUpdate.maxUnavailable",
    ),
    ("deployment", "spec/strategy", {"rollingUpdate": {"maxUnavailable": "120%"}}, "Invalid spec.strategy.rollingUpdate.maxUnavailable"),
    ("deployment", "spec/strategy", {"rollingUpdate": {"maxSurge": "a"}}, "Invalid spec.strategy.rollingUpdate.maxSurge"),
    ("replicaset", "spec/selector", {}, "Invalid spec.selector"),
    ("replicaset", "spec/replicas", -1, "Invalid spec.replicas"),
    ("statefulset", "spec/serviceName", "A", "Invalid spec.serviceName"),
    ("statefulset", "spec/podManagementPolicy", "Any", "Invalid spec.podManagementPolicy"),
    ("statefulset", "spec/updateStrategy", {"type": "Recreate"}, "Invalid spec.updateStrategy"),
    ("statefulset", "spec/updateStrategy", {"type": "OnDelete", "rollingUpdate": {}}, "Invalid spec.updateStrategy.rollingUpdate"),
    ("statefulset", "spec/ordinals", {"start": -1}, "Invalid spec.ordinals.start"),
    ("daemonset", "spec/updateStrategy", {"type": "Recreate"}, "NotSupported spec.updateStrategy"),
    ("daemonset", "spec/template/spec/restartPolicy", "Never", f"NotSupported {T}.restartPolicy"),
    ("controller", "spec/template", None, "Required spec.template"),
    ("revision", "revision", -1, "Invalid revision"),
    ("revision", "data", None, "Required data"),
    ("job", "spec/parallelism", -1, "Invalid spec.parallelism"),
    ("job", "spec/completions", -1, "Invalid spec.completions"),
    ("job", "spec/backoffLimit", -1, "Invalid spec.backoffLimit"),
    ("job", "spec/ttlSecondsAfterFinished", -1, "Invalid spec.ttlSecondsAfterFinished"),
    ("job", "spec/completionMode", "Some", "NotSupported spec.completionMode"),
    ("job", "spec/template/spec/restartPolicy", "Always", f"Required {T}.restartPolicy"),
    ("job", "spec/podReplacementPolicy", "Never", "NotSupported spec.podReplacementPolicy"),
    ("job", "spec/podFailurePolicy", {"rules": [{**RULE, "action": "Stop"}]}, "NotSupported spec.podFailurePolicy.rules[0].action"),
    ("job", "spec/podFailurePolicy", {"rules": [{"action": "FailJob"}]}, "Invalid spec.podFailurePolicy.rules[0]"),
    (
        "job",
        "spec/podFailurePolicy",
        {"rules": [{**RULE, "onExitCodes": {"operator": "In", "values": [0]}}]},
        "Invalid spec.podFailurePolicy.rules[0].onExitCodes.values[0]",
    ),
    ("job", "spec/successPolicy", {"rules": [{"succeededCount": 1}]}, "Invalid spec.successPolicy"),
    ("job", "spec/selector", {"matchLabels": {"a": "b"}}, "Invalid spec.selector; Invalid spec.template.metadata.labels"),
    ("indexed", "spec/completions", None, "Required spec.completions"),
    ("indexed", "spec/successPolicy", {"rules": []}, "Required spec.successPolicy.rules"),
    ("indexed", "spec/successPolicy", {"rules": [{"succeededIndexes": "0-5"}]}, "Invalid spec.successPolicy.rules[0].succeededIndexes"),
    ("cronjob", "spec/schedule", "", "Required spec.schedule"),
    ("cronjob", "spec/schedule", "* * *", "Invalid spec.schedule"),
    ("cronjob", "spec/schedule", "TZ=UTC * * * * *", "Invalid spec.schedule"),
    ("cronjob", "spec/timeZone", "Mars/Base", "Invalid spec.timeZone"),
    ("cronjob", "spec/concurrencyPolicy", "Maybe", "NotSupported spec.concurrencyPolicy"),
    ("cronjob", "spec/startingDeadlineSeconds", -1, "Invalid spec.startingDeadlineSeconds"),
    ("cronjob", "spec/jobTemplate/spec/manualSelector", True, "NotSupported spec.jobTemplate.spec.manualSelector"),
    ("hpa", "spec/maxReplicas", 0, "Invalid spec.maxReplicas; Required spec.maxReplicas"),
    ("hpa", "spec/minReplicas", 0, "Invalid spec.minReplicas"),
    ("hpa", "spec/minReplicas", 5, "Invalid spec.maxReplicas"),
    ("hpa", "spec/scaleTargetRef/kind", "", "Required spec.scaleTargetRef.kind"),
    ("hpa", "spec/metrics", [{"type": "Resource"}], "Required spec.metrics[0].resource"),
    ("hpa", "spec/metrics", [{**METRIC, "containerResource": {}}], "Forbidden spec.metrics[0].containerResource"),
    ("hpa", "spec/metrics", [{**METRIC, "type": "Cpu"}], "NotSupported spec.metrics[0].type"),
    ("hpa", "spec/behavior/scaleUp/selectPolicy", "Any", "NotSupported spec.behavior.scaleUp.selectPolicy"),
    ("hpa", "spec/behavior/scaleUp/stabilizationWindowSeconds", 9999, "Invalid spec.behavior.scaleUp.stabilizationWindowSeconds"),
    (
        "hpa",
        "spec/behavior/scaleUp/policies",
        [{"type": "Pods", "value": 0, "periodSeconds": 1}],
        "Invalid spec.behavior.scaleUp.policies[0].value",
    ),
    ("pdb", "spec/maxUnavailable", 1, "Invalid spec"),
    ("pdb", "spec/minAvailable", -1, "Invalid spec.minAvailable"),
    ("pdb", "spec/minAvailable", "110%", "Invalid spec.minAvailable"),
    ("pdb", "spec/unhealthyPodEvictionPolicy", "Never", "NotSupported spec.unhealthyPodEvictionPolicy"),
]
FIXED = [
    ("deployment", "spec/replicas", 5, ""),
    ("deployment", "spec/selector", {"matchLabels": {"app": "b"}}, "Invalid spec.selector; Invalid spec.template.metadata.labels"),
    ("replicaset", "spec/selector", {"matchLabels": {"app": "b"}}, "Invalid spec.selector; Invalid spec.template.metadata.labels"),
    ("daemonset", "spec/selector", {"matchLabels": {"app": "b"}}, "Invalid spec.selector; Invalid spec.template.metadata.labels"),
    ("statefulset", "spec/serviceName", "b", "Forbidden spec"),
    ("statefulset", "spec/replicas", 3, ""),
    ("statefulset", "spec/podManagementPolicy", "Parallel", "Forbidden spec"),
    ("revision", "data", {"a": 2}, "Invalid data"),
    ("indexed", "spec/completions", 5, "Invalid spec.completions"),
    ("indexed", "spec/completionMode", "NonIndexed", "Invalid spec.completionMode"),
    ("pdb", "spec/minAvailable", 2, ""),
]


@pytest.mark.parametrize("name", NAMED)
def test_the_manifests_are_right(create, name):
    assert create(NAMED[name]) == []


@pytest.mark.parametrize(("name", "path", "value", "causes"), WRONG)
def test_a_fault_is_named(create, name, path, value, causes):
    assert "; ".join(create(NAMED[name], path, value)) == causes


@pytest.mark.parametrize(("name", "path", "value", "causes"), FIXED)
def test_some_of_it_stays_for_ever(update, name, path, value, causes):
    assert "; ".join(update(NAMED[name], path, value)) == causes


@pytest.mark.parametrize(
    ("name", "path", "value", "cause"),
    [
        ("deployment", "status/replicas", -1, "Invalid status.replicas"),
        ("replicaset", "status/readyReplicas", 1, "Invalid status.readyReplicas"),
        ("hpa", "status/currentReplicas", -1, "Invalid status.currentReplicas"),
    ],
)
def test_a_status_has_rules_too(update, name, path, value, cause):
    assert cause in update(NAMED[name], path, value, "status")


def test_a_deployments_defaults(defaulted):
    spec = defaulted(DEPLOYMENT).spec
    assert (spec.replicas, spec.revisionHistoryLimit, spec.progressDeadlineSeconds, spec.strategy.type) == (1, 10, 600, "RollingUpdate")
    assert (spec.strategy.rollingUpdate.maxSurge, spec.strategy.rollingUpdate.maxUnavailable) == ("25%", "25%")
    assert spec.template.spec.containers[0].imagePullPolicy == "Always"


def test_a_job_selects_by_its_own_uid(defaulted):
    spec = defaulted(JOB).spec
    assert spec.selector.matchLabels == {"batch.kubernetes.io/controller-uid": "u"}
    assert spec.template.metadata.labels["batch.kubernetes.io/job-name"] == "a"
    assert (spec.backoffLimit, spec.completions, spec.parallelism, spec.completionMode) == (6, 1, 1, "NonIndexed")
    assert spec.podReplacementPolicy == "TerminatingOrFailed"


def test_an_autoscalers_defaults(defaulted):
    spec = defaulted(HPA).spec
    assert (spec.minReplicas, spec.metrics[0].resource.target.averageUtilization) == (1, 80)
    assert [policy.value for policy in spec.behavior.scaleUp.policies] == [4, 100]


def test_a_generation_counts_changes_of_the_spec(defaulted):
    assert defaulted(DEPLOYMENT).metadata.generation == 1
    assert defaulted(NAMED["hpa"]).metadata.generation == 0
