"""The rules of a pod's life, one by one: who restarts, what phase that makes, what the node takes, in which order things stop."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec import structs

from bareboat.base.clock import SystemClock
from bareboat.contracts.cri import Container, ContainerConfig
from bareboat.models import core_v1, meta_v1
from bareboat.models.host_ports import host_ports
from bareboat.node import admission, restarts, status, translation
from bareboat.node.allocations import Allocations, requests_of
from bareboat.node.monitoring import Monitors
from bareboat.node.pod_files import PodFiles, hosts, resolv_conf
from bareboat.node.pod_state import PodState
from bareboat.node.status import Observed
from bareboat.node.termination import Termination

NODE = core_v1.Node(metadata=meta_v1.ObjectMeta(name="n1", labels={"disk": "ssd"}))


def pod(policy="Always", inits=(), containers=("a",), **spec):
    def made(names):
        return [n if isinstance(n, core_v1.Container) else core_v1.Container(name=n, image="i") for n in names]

    spec = core_v1.PodSpec(containers=made(containers), initContainers=made(inits), restartPolicy=policy, **spec)
    return core_v1.Pod(metadata=meta_v1.ObjectMeta(name="p", namespace="d", uid="u"), spec=spec)


def sidecar(name):
    return core_v1.Container(name=name, image="i", restartPolicy="Always")


def attempt(name, state, code=0):
    config = ContainerConfig(name=name, image="i")
    return Container(id=name, sandbox_id="s", config=config, state=state, image_id="i", created_at=1, exit_code=code)


def phase(found, over=False, **states):
    seen = {name: Observed(attempts=[attempt(name, *state)]) for name, state in states.items()}
    told = core_v1.PodStatus()
    told.containerStatuses = [status.container_status("r", c, seen.get(c.name, Observed()), False) for c in found.spec.containers]
    told.initContainerStatuses = [status.container_status("r", c, seen.get(c.name, Observed()), False) for c in found.spec.initContainers]
    return status.phase(found, told, ready_to_run=status.initialized(found, seen), over=over)


def test_a_pod_that_is_not_initialized_names_the_containers_that_it_waits_for():
    found = pod("Never", inits=["done", "broken", sidecar("idle"), "next"])
    told = core_v1.PodStatus(phase="Failed")
    states = {"done": Observed(attempts=[attempt("done", "EXITED")]), "broken": Observed(attempts=[attempt("broken", "EXITED", 1)])}
    for container in found.spec.initContainers:
        one = status.container_status("r", container, states.get(container.name, Observed()), False)
        told.initContainerStatuses.append(status.init_status(one))
    status.conditions(found, told, has_sandbox=True, is_initialized=False, now="2026-01-02T03:04:05Z")
    initialized = next(c for c in told.conditions if c.type == "Initialized")
    assert (initialized.status, initialized.reason) == ("False", "ContainersNotInitialized")
    assert initialized.message == "containers with incomplete status: [broken idle next]"


def test_the_end_of_a_failed_container_s_log_is_its_message_where_it_left_none(tmp_path):
    log = tmp_path / "log"
    log.write_text("2026-01-02T03:04:05.1Z stderr F not  good\n2026-01-02T03:04:05.2Z stdout P DONE\n")
    files = PodFiles(tmp_path / "pod", tmp_path)
    ended = attempt("a", "EXITED", 1)
    ended = structs.replace(ended, config=structs.replace(ended.config, log_path=str(log)))
    container = core_v1.Container(name="a", image="i", terminationMessagePolicy="FallbackToLogsOnError")
    assert files.termination_message(container, ended) == "not  good\nDONE"


RULED = core_v1.Container(
    name="a",
    image="i",
    restartPolicy="Never",
    restartPolicyRules=[
        core_v1.ContainerRestartRule(action="Restart", exitCodes=core_v1.ContainerRestartRuleOnExitCodes(operator="In", values=[42]))
    ],
)


@pytest.mark.parametrize(
    ("policy", "container", "code", "again"),
    [
        *(("Always", "a", 0, True), ("OnFailure", "a", 0, False), ("OnFailure", "a", 1, True), ("Never", "a", 1, False)),
        *(("Always", RULED, 42, True), ("Always", RULED, 1, False), ("Never", sidecar("a"), 0, True)),
    ],
)
def test_a_container_restarts_by_its_rules_then_its_own_policy_then_the_pods(policy, container, code, again):
    found = pod(policy, containers=[container])
    assert restarts.restarts(found, found.spec.containers[0], code) is again


def test_the_phase_follows_from_what_the_containers_did():
    assert phase(pod()) == "Pending"
    assert phase(pod(), a=("RUNNING",)) == "Running"
    assert phase(pod(), a=("EXITED", 1)) == "Running"
    assert phase(pod("Never", containers="ab"), a=("EXITED", 0), b=("RUNNING",)) == "Running"
    assert phase(pod("Never", containers="ab"), a=("EXITED", 0), b=("EXITED", 2)) == "Failed"
    assert phase(pod("OnFailure"), a=("EXITED", 0)) == "Succeeded"
    assert phase(pod("Never", containers=[RULED]), a=("EXITED", 42)) == "Running"
    assert phase(pod("Never", inits="i"), i=("EXITED", 1)) == "Failed"
    assert phase(pod(inits="i"), i=("EXITED", 1)) == "Pending"


def test_a_pod_that_is_over_has_succeeded_or_failed_whatever_its_policy():
    assert phase(pod(), over=True, a=("EXITED", 0)) == "Succeeded"
    assert phase(pod(), over=True, a=("EXITED", 137)) == "Failed"


def test_a_sidecar_that_restarts_does_not_take_the_pod_back_to_initializing():
    assert phase(pod(inits=[sidecar("s")]), s=("RUNNING",)) == "Pending"
    assert phase(pod(inits=[sidecar("s")]), s=("EXITED", 1), a=("RUNNING",)) == "Running"


def test_a_node_takes_what_it_has_room_for():
    room = Allocations({"cpu": "2", "memory": "1Gi", "pods": "2"})

    def asking(cpu):
        found = pod(containers=[core_v1.Container(name="a", image="i", resources=core_v1.ResourceRequirements(requests={"cpu": cpu}))])
        found.metadata.uid = cpu
        return found

    room.set("other", requests_of(asking("1500m")))
    assert admission.refusal(asking("500m"), NODE, room) is None
    message = "Node didn't have enough resource: cpu, requested: 501, used: 1500, capacity: 2000"
    assert admission.refusal(asking("501m"), NODE, room) == ("OutOfcpu", message)
    room.set("another", {})
    assert admission.refusal(asking("1m"), NODE, room) == ("OutOfpods", "Node didn't have enough resource: pods")


def test_requests_count_the_largest_init_container_sidecars_and_overhead():
    def sized(name, cpu, policy=""):
        needs = core_v1.ResourceRequirements(requests={"cpu": cpu})
        return core_v1.Container(name=name, image="i", resources=needs, restartPolicy=policy or None)

    found = pod(inits=[sized("s", "1", "Always"), sized("i", "5")], containers=[sized("a", "2"), sized("b", "2")], overhead={"cpu": "100m"})
    assert requests_of(found) == {"cpu": 6100}


def test_the_runtime_is_told_to_leave_the_images_groups_out():
    security = core_v1.PodSecurityContext(supplementalGroups=[5], fsGroup=6, supplementalGroupsPolicy="Strict")
    found = pod(securityContext=security)
    told = translation.security(found, found.spec.containers[0])
    assert (told.supplemental_groups, told.strict_groups) == ((5, 6), True)
    assert not translation.security(pod(), found.spec.containers[0]).strict_groups


def test_only_safe_sysctls_are_set():
    def with_sysctl(name, **spec):
        return pod(securityContext=core_v1.PodSecurityContext(sysctls=[core_v1.Sysctl(name=name, value="1")]), **spec)

    room = Allocations({})
    assert admission.refusal(with_sysctl("net.ipv4.tcp_syncookies"), NODE, room) is None
    assert admission.refusal(with_sysctl("net/ipv4/tcp_syncookies"), NODE, room) is None
    assert admission.refusal(with_sysctl("kernel.msgmax"), NODE, room) == (
        "SysctlForbidden",
        'forbidden sysctl: "kernel.msgmax" not allowlisted',
    )
    assert admission.refusal(with_sysctl("net.ipv4.tcp_syncookies", hostNetwork=True), NODE, room)[0] == "SysctlForbidden"


async def test_sidecars_stop_last_and_in_reverse_order():
    stopped = []

    async def stop_container(identity, grace):
        await asyncio.sleep(0.01 if identity == "a" else 0)
        stopped.append(identity)

    node = SimpleNamespace(
        clock=SystemClock(), events=SimpleNamespace(event=lambda *_: None), runtime=SimpleNamespace(stop_container=stop_container)
    )
    found, state = pod(inits=[sidecar("s1"), sidecar("s2")], containers="ab"), PodState("d/p", "u")
    state.observe(found, [], [attempt(name, "RUNNING") for name in ("s1", "s2", "a", "b")])
    assert await Termination(node, state).stop(found, 5.0)
    assert stopped == ["b", "a", "s2", "s1"]


def test_resolv_conf_is_the_clusters_the_nodes_or_the_pods():
    text = resolv_conf(pod(dnsPolicy="ClusterFirst"), "cluster.local", ["10.96.0.10"])
    assert text.startswith("nameserver 10.96.0.10\nsearch d.svc.cluster.local svc.cluster.local cluster.local")
    assert "options ndots:5" in text
    assert "10.96.0.10" not in resolv_conf(pod(dnsPolicy="ClusterFirst", hostNetwork=True), "cluster.local", ["10.96.0.10"])
    options = [core_v1.PodDNSConfigOption(name="ndots", value="2"), core_v1.PodDNSConfigOption(name="edns0")]
    own = core_v1.PodDNSConfig(nameservers=["192.0.2.1"], searches=["a.b"], options=options)
    text = resolv_conf(pod(dnsPolicy="None", dnsConfig=own), "cluster.local", ["10.96.0.10"])
    assert text == "nameserver 192.0.2.1\nsearch a.b\noptions ndots:2 edns0\n"


def test_hosts_names_the_pod_and_its_aliases():
    found = pod(hostname="h", subdomain="s", hostAliases=[core_v1.HostAlias(ip="192.0.2.7", hostnames=["x", "y"])])
    text = hosts(found, "10.0.0.2", "cluster.local")
    assert text.startswith("# Kubernetes-managed hosts file.\n")
    assert "10.0.0.2\th.s.d.svc.cluster.local\th\n" in text
    assert text.endswith("# Entries added by HostAliases.\n192.0.2.7\tx\ty\n")


def test_hosts_of_a_pod_in_the_nodes_network_are_the_nodes(tmp_path):
    found = pod(hostNetwork=True)
    config = SimpleNamespace(domain="cluster.local", dns_servers=())
    mounts = PodFiles(tmp_path / "pod", tmp_path / "logs").mounts(found, found.spec.containers[0], "10.0.0.2", config)
    text = next(Path(m.host_path) for m in mounts if m.container_path == "/etc/hosts").read_text()
    assert text == f"# Kubernetes-managed hosts file (host network).\n{Path('/etc/hosts').read_text()}"


def test_the_host_name_is_the_full_one_where_the_pod_wants_it():
    assert translation.kernel_hostname(pod(hostname="h", subdomain="s"), "cluster.local") == "h"
    assert (
        translation.kernel_hostname(pod(hostname="h", subdomain="s", setHostnameAsFQDN=True), "cluster.local") == "h.s.d.svc.cluster.local"
    )


def test_an_agent_that_starts_again_goes_on_from_what_was_told_of_a_container():
    """Its readiness does not flap while the first probe is on its way, and its startup probe is not asked again."""
    probe = core_v1.Probe(exec=core_v1.ExecAction(command=["x"]))
    found = pod(containers=[core_v1.Container(name="a", image="i", readinessProbe=probe, startupProbe=probe)])
    running = core_v1.ContainerState(running=core_v1.ContainerStateRunning())
    found.status.containerStatuses = [
        core_v1.ContainerStatus(name="a", image="i", containerID="r://a", ready=True, started=True, state=running)
    ]
    tasks = SimpleNamespace(spawn=lambda work, name: work.close())
    for identity, expected in (("a", True), ("other", False)):
        seen = Observed()
        Monitors(None, tasks, lambda: None).watch(found, found.spec.containers[0], attempt(identity, "RUNNING"), seen, "")
        assert (seen.ready, seen.started) == (expected, expected)


def test_a_profile_that_nobody_enforces_is_refused(monkeypatch, tmp_path):
    security = core_v1.PodSecurityContext(appArmorProfile=core_v1.AppArmorProfile(type="RuntimeDefault"))
    monkeypatch.setattr(admission, "APP_ARMOR", tmp_path / "none")
    assert admission.refusal(pod(securityContext=security), NODE, Allocations({}))[0] == "AppArmor"
    monkeypatch.setattr(admission, "APP_ARMOR", tmp_path)
    assert admission.refusal(pod(securityContext=security), NODE, Allocations({})) is None


@pytest.mark.parametrize(
    ("held", "asked", "free"),
    [
        ({"hostPort": 80}, {"hostPort": 81}, True),
        ({"hostPort": 80}, {"hostPort": 80, "protocol": "UDP"}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80, "hostIP": "10.0.0.2"}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80, "hostIP": "0.0.0.0"}, False),
        ({"hostPort": 80}, {"hostPort": 80, "hostIP": "10.0.0.1"}, False),
        ({"hostPort": 80}, {"hostPort": 80}, False),
    ],
)
def test_two_pods_do_not_have_one_port_of_the_host(held, asked, free):
    def with_port(port):
        found = pod()
        found.spec.containers[0].ports = [core_v1.ContainerPort(containerPort=8080, **port)]
        return found

    room = Allocations({})
    room.claim("another", host_ports(with_port(held)))
    refused = admission.refusal(with_port(asked), NODE, room)
    assert (refused is None) is free
    room.forget("another")
    assert admission.refusal(with_port(asked), NODE, room) is None


@pytest.mark.parametrize(("operator", "taken"), [("In", True), ("NotIn", False)])
def test_a_pod_that_was_bound_past_the_scheduler_is_held_to_its_required_affinity(operator, taken):
    wanted = core_v1.NodeSelectorRequirement(key="disk", operator=operator, values=["ssd"])
    terms = core_v1.NodeSelector(nodeSelectorTerms=[core_v1.NodeSelectorTerm(matchExpressions=[wanted])])
    affinity = core_v1.Affinity(nodeAffinity=core_v1.NodeAffinity(requiredDuringSchedulingIgnoredDuringExecution=terms))
    refused = admission.refusal(pod(affinity=affinity), NODE, Allocations({}))
    message = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    assert refused == (None if taken else ("NodeAffinity", message))


def test_a_pod_that_was_bound_past_the_scheduler_is_held_to_taints_of_effect_no_execute():
    def tainted(effect):
        return core_v1.Node(metadata=NODE.metadata, spec=core_v1.NodeSpec(taints=[core_v1.Taint(key="k", value="v", effect=effect)]))

    tolerating = pod(tolerations=[core_v1.Toleration(key="k", operator="Exists", tolerationSeconds=5)])
    assert admission.refusal(pod(), tainted("NoSchedule"), Allocations({})) is None
    assert admission.refusal(tolerating, tainted("NoExecute"), Allocations({})) is None
    message = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
    assert admission.refusal(pod(), tainted("NoExecute"), Allocations({})) == ("TaintToleration", message)
