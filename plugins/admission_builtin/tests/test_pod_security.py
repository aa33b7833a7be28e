"""Levels of pod security: what they refuse, in upstream's words, and whom they only warn."""

import msgspec
import pytest

from bareboat.api.request import ApiRequest
from bareboat.models import core_v1
from bareboat.testing.kernel import ADMIN
from bareboat_admission_builtin.pod_security.plugin import violations
from bareboat_admission_builtin.pod_security.policy import LATEST, Target

pytestmark = pytest.mark.virtual_time
ESCALATION = 'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)'
DROP = 'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])'
NON_ROOT = 'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)'
SECCOMP = 'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
HARDENED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


async def namespace(world, **labels):
    tree = {"metadata": {"name": "n", "labels": {f"pod-security.kubernetes.io/{k.replace('_', '-')}": v for k, v in labels.items()}}}
    return await world.create(core_v1.Namespace, tree)


async def post(world, path, tree):
    body = msgspec.json.encode(tree)
    return await world.kernel.service.handle(ApiRequest(ADMIN, "POST", path, {}, body, "application/json"))


def container(**security):
    return {"name": "c", "image": "x", "securityContext": security}


async def test_a_plain_pod_is_refused_where_restricted_is_enforced(world):
    await namespace(world, enforce="restricted")
    error = await world.refused(world.pod(namespace="n"))
    faults = ", ".join((ESCALATION, DROP, NON_ROOT, SECCOMP))
    assert (error.code, error.message) == (403, f'pods "p" is forbidden: violates PodSecurity "restricted:latest": {faults}')
    await world.pod(namespace="n", containers=[container(**HARDENED)])
    await world.pod(name="elsewhere")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"hostNetwork": True, "hostPID": True}, "host namespaces (hostNetwork=true, hostPID=true)"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, 'hostPath volumes (volume "v")'),
        ({"c": {"privileged": True}}, 'privileged (container "c" must not set securityContext.privileged=true)'),
        (
            {"c": {"capabilities": {"add": ["SYS_ADMIN"]}}},
            'non-default capabilities (container "c" must not include "SYS_ADMIN" in securityContext.capabilities.add)',
        ),
        ({"c": {"procMount": "Unmasked"}}, 'procMount (container "c" must not set securityContext.procMount to "Unmasked")'),
        (
            {"c": {"seccompProfile": {"type": "Unconfined"}}},
            'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, "forbidden sysctls (kernel.msgmax)"),
        (
            {"securityContext": {"seLinuxOptions": {"type": "bad", "user": "u"}}, "c": {"seLinuxOptions": {"role": "r"}}},
            'seLinuxOptions (pod and container "c" set forbidden securityContext.seLinuxOptions: type "bad"; user may not be set; role may not be set)',
        ),
        (
            {"securityContext": {"windowsOptions": {"hostProcess": True}}},
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
        ({"ports": [{"containerPort": 80, "hostPort": 80}]}, 'hostPort (container "c" uses hostPort 80)'),
        (
            {"probe": {"httpGet": {"port": 80, "host": "10.0.0.1"}}},
            'probe or lifecycle host (container "c" uses probe or lifecycle host "10.0.0.1")',
        ),
        (
            {"c": {"appArmorProfile": {"type": "Unconfined"}}},
            'forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")',
        ),
    ],
)
def test_baseline_refuses_known_escalations(spec, sentence):
    found = violations(Target("baseline", LATEST), {}, pod_spec(spec))
    assert [str(v) for v in found] == [sentence]


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            {"volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]},
            'restricted volume types (volume "v" uses restricted volume type "nfs")',
        ),
        ({"c": {**HARDENED, "runAsUser": 0}}, 'runAsUser=0 (container "c" must not set runAsUser=0)'),
        (
            {"c": {**HARDENED, "runAsNonRoot": False}},
            'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)',
        ),
        (
            {"c": {**HARDENED, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}},
            'unrestricted capabilities (container "c" must not include "CHOWN" in securityContext.capabilities.add)',
        ),
    ],
)
def test_restricted_refuses_more(spec, sentence):
    found = violations(Target("restricted", LATEST), {}, pod_spec({"c": HARDENED, **spec}))
    assert [str(v) for v in found] == [sentence]


def pod_spec(spec):
    from bareboat.models.codec import from_tree

    rest = {k: v for k, v in spec.items() if k not in ("c", "ports", "probe")}
    only = {**container(**spec.get("c", {})), "ports": spec.get("ports", []), "livenessProbe": spec.get("probe")}
    return from_tree(core_v1.PodSpec, {**rest, "containers": [only]})


def test_older_versions_know_less():
    spec = pod_spec(
        {
            "probe": {"httpGet": {"port": 80, "host": "10.0.0.1"}},
            "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]},
        }
    )
    assert [v.reason for v in violations(Target("baseline", 31), {}, spec)] == ["forbidden sysctls"]
    assert [v.reason for v in violations(Target("restricted", 7), {}, pod_spec({}))] == ["runAsNonRoot != true"]


def test_root_of_its_own_user_namespace_is_nobody():
    spec = pod_spec({"hostUsers": False, "c": {**HARDENED, "runAsNonRoot": False, "runAsUser": 0}})
    assert violations(Target("restricted", LATEST), {}, spec) == []
    assert len(violations(Target("restricted", 33), {}, spec)) == 2


async def test_a_level_to_warn_lets_pods_in_with_a_warning(world):
    await namespace(world, warn="baseline", warn_version="v1.30")
    pod = {"metadata": {"name": "p"}, "spec": {"hostIPC": True, "containers": [container()]}}
    response = await post(world, "/api/v1/namespaces/n/pods", pod)
    assert (response.status, response.warnings) == (201, ['would violate PodSecurity "baseline:v1.30": host namespaces (hostIPC=true)'])


async def test_what_makes_pods_is_warned_of_and_never_refused(world):
    await namespace(world, enforce="baseline")
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"hostNetwork": True, "containers": [container()]}}
    tree = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    response = await post(world, "/apis/apps/v1/namespaces/n/deployments", tree)
    assert response.status == 201
    assert 'would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)' in response.warnings


async def test_a_stricter_level_tells_of_the_pods_that_are_there(world):
    made = await namespace(world)
    for name in ("a", "b"):
        await world.pod(name, namespace="n", hostIPC=True)
    made.metadata.labels = {**made.metadata.labels, "pod-security.kubernetes.io/enforce": "baseline"}
    from bareboat.models.codec import encode

    response = await world.kernel.service.handle(ApiRequest(ADMIN, "PUT", "/api/v1/namespaces/n", {}, encode(made), "application/json"))
    head = 'existing pods in namespace "n" violate the new PodSecurity enforce level "baseline:latest"'
    assert response.warnings == [head, "a (and 1 other pod): host namespaces"]


async def test_a_namespace_with_a_label_that_is_no_level_is_refused(world):
    error = await world.refused(namespace(world, enforce="strict", warn_version="1.2"))
    assert error.code == 422
    assert (
        'metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted'
        in error.message
    )
    assert 'Invalid value: "1.2": must be "latest" or "v1.x"' in error.message


async def test_defaults_and_exemptions_come_from_the_options(make_world):
    exemptions = {"namespaces": ["kube-system"], "usernames": ["jane"], "runtimeClasses": ["vm"]}
    world = await make_world(
        {
            "podSecurity": {"defaults": {"enforce": "baseline", "enforce-version": "v1.30"}, "exemptions": exemptions},
            "disable": ["RuntimeClass"],
        }
    )
    assert '"baseline:v1.30"' in (await world.refused(world.pod(hostIPC=True))).message
    await world.pod("system", namespace="kube-system", hostIPC=True)
    await world.pod("vm", hostIPC=True, runtimeClassName="vm")
    tree = {"metadata": {"name": "hers"}, "spec": {"hostIPC": True, "containers": [container()]}}
    await world.create(core_v1.Pod, tree, user="jane")


async def test_defaults_that_are_no_level_are_told(make_world):
    with pytest.raises(ValueError, match=r"podSecurity\.defaults\.warn"):
        await make_world({"podSecurity": {"defaults": {"warn": "strict"}}})
