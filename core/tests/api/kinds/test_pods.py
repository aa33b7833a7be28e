"""Pods: the rules of their specs, which every template shares."""

from copy import deepcopy

import pytest

from bareboat.api.kinds import capabilities

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": "web:1",
                "ports": [{"name": "http", "containerPort": 80}],
                "env": [{"name": "A", "value": "b"}],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}},
            }
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
    },
}
C, P = "spec/containers/0", "spec.containers[0]"
WRONG = [
    ("spec/containers", [], "Required spec.containers"),
    (f"{C}/name", None, f"Required {P}.name"),
    (f"{C}/name", "UP", f"Invalid {P}.name"),
    (f"{C}/image", None, f"Required {P}.image"),
    (f"{C}/image", " web", f"Invalid {P}.image"),
    (f"{C}/imagePullPolicy", "Sometimes", f"NotSupported {P}.imagePullPolicy"),
    (f"{C}/terminationMessagePolicy", "None", f"NotSupported {P}.terminationMessagePolicy"),
    (f"{C}/ports/0/containerPort", 0, f"Required {P}.ports[0].containerPort"),
    (f"{C}/ports/0/containerPort", 65536, f"Invalid {P}.ports[0].containerPort"),
    (f"{C}/ports/0/protocol", "ICMP", f"NotSupported {P}.ports[0].protocol"),
    (f"{C}/ports/0/name", "Http", f"Invalid {P}.ports[0].name"),
    (f"{C}/ports/1", {"name": "http", "containerPort": 81}, f"Duplicate {P}.ports[1].name"),
    (f"{C}/env/0/name", "", f"Required {P}.env[0].name"),
    (f"{C}/env/0/name", "a=b", f"Invalid {P}.env[0].name"),
    (f"{C}/env/0/valueFrom", {"fieldRef": {"fieldPath": "metadata.name"}}, f"Invalid {P}.env[0].valueFrom"),
    (f"{C}/env/1", {"name": "B", "valueFrom": {}}, f"Invalid {P}.env[1].valueFrom"),
    (f"{C}/env/1", {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}, f"Invalid {P}.env[1].valueFrom.fieldRef.fieldPath"),
    (f"{C}/envFrom", [{}], f"Invalid {P}.envFrom"),
    (f"{C}/volumeMounts/0/name", "other", f"NotFound {P}.volumeMounts[0].name"),
    (f"{C}/volumeMounts/0/mountPath", "", f"Required {P}.volumeMounts[0].mountPath"),
    (f"{C}/volumeMounts/1", {"name": "data", "mountPath": "/data"}, f"Invalid {P}.volumeMounts[1].mountPath"),
    (f"{C}/volumeMounts/0/subPath", "../up", f"Invalid {P}.volumeMounts.subPath"),
    (f"{C}/volumeMounts/0/mountPropagation", "Up", f"NotSupported {P}.volumeMounts.mountPropagation"),
    (f"{C}/resources/requests/cpu", "3", f"Invalid {P}.resources.requests"),
    (f"{C}/resources/requests/cpu", "-1", f"Invalid {P}.resources.requests[cpu]"),
    (f"{C}/resources/limits/a.b", "1", f"Invalid {P}.resources.limits[a.b]; Invalid {P}.resources.requests[a.b]"),
    (f"{C}/livenessProbe", {}, f"Required {P}.livenessProbe"),
    (f"{C}/livenessProbe", {"tcpSocket": {"port": 80}, "successThreshold": 2}, f"Invalid {P}.livenessProbe.successThreshold"),
    (f"{C}/readinessProbe", {"exec": {"command": []}}, f"Required {P}.readinessProbe.exec.command"),
    (f"{C}/readinessProbe", {"httpGet": {"port": "no port!"}}, f"Invalid {P}.readinessProbe.httpGet.port"),
    (f"{C}/readinessProbe", {"grpc": {"port": 0}}, f"Invalid {P}.readinessProbe.grpc.port"),
    (f"{C}/lifecycle", {"preStop": {}}, f"Required {P}.lifecycle.preStop"),
    (f"{C}/securityContext", {"runAsUser": -1}, f"Invalid {P}.securityContext.runAsUser"),
    (f"{C}/securityContext", {"privileged": True}, f"Forbidden {P}.securityContext.privileged"),
    (f"{C}/restartPolicy", "Often", f"NotSupported {P}.restartPolicy"),
    ("spec/containers/1", {"name": "web", "image": "x"}, "Duplicate spec.containers[1].name"),
    ("spec/initContainers", [{"name": "web", "image": "x"}], "Duplicate spec.initContainers[0].name"),
    ("spec/ephemeralContainers", [{"name": "e", "image": "x"}], "Forbidden spec.ephemeralContainers"),
    ("spec/volumes/0/name", "", "NotFound spec.containers[0].volumeMounts[0].name; Required spec.volumes[0].name"),
    ("spec/volumes/1", {"name": "data", "emptyDir": {}}, "Duplicate spec.volumes[1].name"),
    ("spec/volumes/0/hostPath", {"path": "/x"}, f"Forbidden spec.volumes[0].hostPath; NotFound {P}.volumeMounts[0].name"),
    ("spec/volumes/1", {"name": "h", "hostPath": {"path": ""}}, "Required spec.volumes[1].hostPath.path"),
    ("spec/volumes/1", {"name": "h", "hostPath": {"path": "/x", "type": "Pipe"}}, "NotSupported spec.volumes[1].hostPath.type"),
    ("spec/volumes/1", {"name": "s", "secret": {}}, "Required spec.volumes[1].secret.secretName"),
    (
        "spec/volumes/1",
        {"name": "s", "configMap": {"name": "c", "items": [{"key": "a", "path": "/b"}]}},
        "Invalid spec.volumes[1].configMap.items[0].path",
    ),
    ("spec/volumes/1", {"name": "s", "secret": {"secretName": "s", "defaultMode": 512}}, "Invalid spec.volumes[1].secret.defaultMode"),
    ("spec/volumes/1", {"name": "p", "persistentVolumeClaim": {}}, "Required spec.volumes[1].persistentVolumeClaim.claimName"),
    ("spec/volumes/1", {"name": "p", "csi": {}}, "Required spec.volumes[1].csi.driver"),
    ("spec/volumes/1", {"name": "p", "nfs": {"server": "s"}}, "Invalid spec.volumes[1].nfs.path; Required spec.volumes[1].nfs.path"),
    ("spec/volumes/1", {"name": "p", "image": {}}, "Required spec.volumes[1].image.reference"),
    ("spec/restartPolicy", "Often", "NotSupported spec.restartPolicy"),
    ("spec/dnsPolicy", "Mine", "NotSupported spec.dnsPolicy"),
    ("spec/dnsPolicy", "None", "Required spec.dnsConfig"),
    ("spec/dnsConfig", {"nameservers": ["x"]}, "Invalid spec.dnsConfig.nameservers[0]"),
    ("spec/hostname", "A", "Invalid spec.hostname"),
    ("spec/nodeName", "A_", "Invalid spec.nodeName"),
    ("spec/serviceAccountName", "A_", "Invalid spec.serviceAccountName"),
    ("spec/priorityClassName", "A_", "Invalid spec.priorityClassName"),
    ("spec/runtimeClassName", "A_", "Invalid spec.runtimeClassName"),
    ("spec/nodeSelector", {"a b": "c"}, "Invalid spec.nodeSelector"),
    ("spec/imagePullSecrets", [{"name": ""}], ""),
    ("spec/activeDeadlineSeconds", 0, "Invalid spec.activeDeadlineSeconds"),
    ("spec/hostAliases", [{"ip": "x"}], "Invalid spec.hostAliases[0].ip"),
    ("spec/tolerations", [{"operator": "Equals", "key": "a"}], "NotSupported spec.tolerations[0].operator"),
    ("spec/tolerations", [{"key": ""}], "Invalid spec.tolerations[0].operator"),
    ("spec/tolerations", [{"key": "a", "effect": "Never"}], "NotSupported spec.tolerations[0].effect"),
    ("spec/readinessGates", [{"conditionType": "a b"}], "Invalid spec.readinessGates[0].conditionType"),
    ("spec/schedulingGates", [{"name": "a"}, {"name": "a"}], "Duplicate spec.schedulingGates[1]"),
    ("spec/securityContext", {"fsGroup": -1}, "Invalid spec.securityContext.fsGroup"),
    ("spec/securityContext", {"seccompProfile": {"type": "Localhost"}}, "Required spec.securityContext.seccompProfile.localhostProfile"),
    (
        "spec/affinity",
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
        "Required spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms",
    ),
    (
        "spec/affinity",
        {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": ""}]}},
        "Invalid spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey; "
        "Required spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey",
    ),
    (
        "spec/topologySpreadConstraints",
        [{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        "Invalid spec.topologySpreadConstraints[0].maxSkew",
    ),
]
RIGHT = [
    (f"{C}/env/1", {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}),
    (f"{C}/env/0/name", "a b"),
    (f"{C}/envFrom", [{"configMapRef": {"name": "c"}}]),
    (f"{C}/livenessProbe", {"httpGet": {"port": "http"}}),
    (f"{C}/command", ["a"]),
    ("spec/volumes/1", {"name": "p", "projected": {"sources": [{"configMap": {"name": "c"}}]}}),
    ("spec/initContainers", [{"name": "i", "image": "x", "restartPolicy": "Always"}]),
    ("spec/tolerations", [{"operator": "Exists"}]),
    ("spec/securityContext", {"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]}),
    ("spec/topologySpreadConstraints", [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]),
]
FIXED = [
    (f"{C}/image", "web:2", ""),
    (f"{C}/image", "", f"Required {P}.image"),
    (f"{C}/command", ["x"], "Forbidden spec"),
    ("spec/nodeName", "n2", "Forbidden spec"),
    ("spec/activeDeadlineSeconds", 5, ""),
    ("spec/tolerations", [{"key": "a", "operator": "Exists"}], ""),
    ("spec/containers/1", {"name": "b", "image": "b"}, "Forbidden spec.containers"),
]


def test_the_pod_itself_is_right(create):
    assert create(POD) == []


@pytest.mark.parametrize(("path", "value", "causes"), WRONG)
def test_a_fault_is_named(create, path, value, causes):
    assert "; ".join(create(POD, path, value)) == causes


@pytest.mark.parametrize(("path", "value"), RIGHT)
def test_what_is_allowed_passes(create, path, value):
    assert create(POD, path, value) == []


@pytest.mark.parametrize(("path", "value", "causes"), FIXED)
def test_little_of_a_pod_may_change(update, path, value, causes):
    assert "; ".join(update(POD, path, value)) == causes


def test_defaults_are_upstreams(defaulted):
    spec = defaulted(POD).spec
    container = spec.containers[0]
    assert (spec.restartPolicy, spec.dnsPolicy, spec.terminationGracePeriodSeconds, spec.schedulerName) == (
        "Always",
        "ClusterFirst",
        30,
        "default-scheduler",
    )
    assert spec.enableServiceLinks is True
    assert (container.imagePullPolicy, container.terminationMessagePath, container.terminationMessagePolicy) == (
        "IfNotPresent",
        "/dev/termination-log",
        "File",
    )
    assert container.ports[0].protocol == "TCP"
    assert defaulted(POD).status.qosClass == "Burstable"


@pytest.mark.parametrize(
    ("image", "policy"), [("a", "Always"), ("a:latest", "Always"), ("r:5000/a", "Always"), ("a@sha256:" + "0" * 64, "IfNotPresent")]
)
def test_latest_is_always_pulled(defaulted, image, policy):
    assert defaulted(POD, f"{C}/image", image).spec.containers[0].imagePullPolicy == policy


def test_a_request_is_its_limit_by_default(defaulted):
    resources = defaulted(POD, f"{C}/resources", {"limits": {"memory": "1Gi"}}).spec.containers[0].resources
    assert resources.requests == {"memory": "1Gi"}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (f"{C}/env/1", {"name": "A", "value": "c"}, 'hides previous definition of "A"'),
        ("spec/nodeSelector", {"beta.kubernetes.io/os": "linux"}, "deprecated since v1.14"),
        ("metadata/annotations", {"scheduler.alpha.kubernetes.io/critical-pod": ""}, "non-functional in v1.16+"),
        ("spec/terminationGracePeriodSeconds", -1, "must be >= 0"),
        (f"{C}/ports/1", {"containerPort": 80}, "duplicate port definition"),
        ("spec/hostAliases", [{"ip": "::ffff:1.2.3.4"}], "non-standard IP address"),
        ("spec/hostUsers", False, "spec.hostUsers: user namespaces are not offered here"),
        ("spec/resourceClaims", [{"name": "r", "resourceClaimName": "c"}], "spec.resourceClaims: devices are not allocated here"),
    ],
)
def test_a_client_is_warned(warnings, path, value, words):
    assert any(words in text for text in warnings(POD, path, value)), warnings(POD, path, value)


def test_a_plain_pod_gives_no_warning(warnings):
    assert warnings(POD) == []


@pytest.mark.parametrize(
    ("status", "causes"),
    [
        ({"phase": "Running", "podIP": "10.0.0.1"}, ""),
        ({"podIP": "x"}, "Invalid status.podIPs[0]"),
        ({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]}, "Invalid status.podIPs"),
        ({"conditions": [{"type": "a b", "status": "True"}]}, "Invalid metadata.conditions[0].Type"),
        ({"qosClass": "Guaranteed"}, "Invalid status.qosClass"),
        ({"nominatedNodeName": "A_"}, "Invalid status.nominatedNodeName"),
        ({"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.2"}]}, "Invalid status.hostIPs[0].ip"),
    ],
)
def test_an_agent_may_not_say_anything(update, status, causes):
    assert "; ".join(update(POD, "status", status, "status")) == causes


@pytest.mark.parametrize(
    ("containers", "causes"),
    [
        ([{"name": "e", "image": "x"}], ""),
        ([{"name": "web", "image": "x"}], "Duplicate spec.ephemeralContainers[0].name"),
        ([{"name": "e", "image": "x", "ports": [{"containerPort": 1}]}], "Forbidden spec.ephemeralContainers[0].ports"),
        ([{"name": "e", "image": "x", "targetContainerName": "y"}], "NotFound spec.ephemeralContainers[0].targetContainerName"),
    ],
)
def test_debug_containers_come_later(update, containers, causes):
    assert "; ".join(update(POD, "spec/ephemeralContainers", containers, "ephemeralcontainers")) == causes


def test_resources_are_resized_in_place(update):
    path = f"{C}/resources"
    assert update(POD, path, {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}, "resize") == []
    assert update(POD, path, {"requests": {"cpu": "3"}, "limits": {"cpu": "2"}}, "resize") == [f"Invalid {P}.resources.requests"]
    assert "Forbidden spec" in update(POD, path, {"requests": {"ephemeral-storage": "3"}}, "resize")


def test_a_limit_of_memory_may_be_added_in_place(update):
    sized = deepcopy(POD)
    sized["spec"]["containers"][0]["resources"] = {"requests": {"memory": "20Mi"}}
    wanted = {"requests": {"memory": "25Mi"}, "limits": {"memory": "35Mi"}}
    assert update(sized, f"{C}/resources", wanted, "resize") == []


def test_label_keys_take_the_pods_values(defaulted):
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "a"}}, "matchLabelKeys": ["tier", "absent"]}
    manifest = {**POD, "metadata": {**POD["metadata"], "labels": {"tier": "front"}}}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    selector = defaulted(manifest, "spec/affinity", affinity).spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[
        0
    ]
    (merged,) = selector.labelSelector.matchExpressions
    assert (merged.key, merged.operator, merged.values) == ("tier", "In", ["front"])


def test_label_keys_stand_in_no_selector_already(create):
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["tier"]}
    manifest = {**POD, "metadata": {**POD["metadata"], "labels": {"tier": "front"}}}
    assert create(manifest, "spec/topologySpreadConstraints", [{**spread, "labelSelector": {}}]) == []
    (cause,) = create(manifest, "spec/topologySpreadConstraints", [{**spread, "labelSelector": {"matchLabels": {"tier": "back"}}}])
    assert cause == "Invalid spec.topologySpreadConstraints[0].matchLabelKeys[0]"


def test_a_cluster_may_allow_privileged_containers(create, monkeypatch):
    monkeypatch.setattr(capabilities.CURRENT, "allow_privileged", True)
    assert create(POD, f"{C}/securityContext", {"privileged": True}) == []
