"""Services on two real nodes: every type, protocol and affinity from pods, from nodes and through the proxy; what lies behind them changes."""

import json
import textwrap

import pytest

from tests.conftest import Cluster

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

#: Says the pod's name to whoever asks, over both protocols, on every port named.
SAY_NAME = textwrap.dedent("""
    import socket, sys, threading
    name = socket.gethostname().encode()
    def tcp(port):
        listener = socket.create_server(("", port))
        while True:
            connection, _ = listener.accept()
            connection.settimeout(5)
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (len(name), name))
            connection.close()
    def udp(port):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("", port))
        while True:
            s.sendto(name, s.recvfrom(100)[1])
    for port in map(int, sys.argv[1:]):
        threading.Thread(target=udp, args=(port,)).start()
        threading.Thread(target=tcp, args=(port,)).start()
""")
#: Prints the answer of host:port, or nothing when it is refused or silent.
ASK = textwrap.dedent("""
    import socket, sys
    kind = socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM
    for _ in range(int(sys.argv[4])):
        try:
            s = socket.socket(socket.AF_INET, kind)
            s.settimeout(1)
            s.connect((sys.argv[2], int(sys.argv[3])))
            s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            found = b""
            while piece := s.recv(4096):
                found += piece
                if kind == socket.SOCK_DGRAM:
                    break
            print(found.split(b"\\n")[-1].decode())
        except OSError:
            print("-")
        s.close()
""")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two nodes with two servers each, a client on each, and a client in each node's own network."""
    found = Cluster(tmp_path_factory.mktemp("services"))
    found.bareboat("up", "--name", "services", "--nodes", "2", "--port", "0")
    try:
        for node in ("n1", "n2"):
            for number in (1, 2):
                apply(found, pod(f"server-{node}-{number}", node, ["python3", "-c", SAY_NAME, "8080", "8081"], app="server"))
            apply(found, pod(f"client-{node}", node, ["sleep", "100000"]))
            apply(found, pod(f"host-{node}", node, ["sleep", "100000"], spec={"hostNetwork": True}))
        found.kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
        yield found
    finally:
        found.bareboat("down", "--purge", check=False)


def pod(name, node, command, *, spec=None, container=None, **labels):
    c = {"name": "c", "image": "host", "command": command, **(container or {})}
    body = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [c], **(spec or {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": body}


def apply(cluster, tree):
    cluster.kubectl("apply", "-f", "-", input=json.dumps(tree))


def service(cluster, name, **spec):
    given = {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}], **spec}
    cluster.kubectl("delete", "service", name, "--ignore-not-found")
    apply(cluster, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": given})
    return cluster.get("service", name)["spec"]


def ask(cluster, client, host, port, protocol="tcp", times=1):
    """The set of answers, "-" for none."""
    done = cluster.kubectl("exec", client, "--", "python3", "-c", ASK, protocol, host, str(port), str(times))
    return set(done.stdout.split())


def node_address(cluster, name):
    return next(a["address"] for a in cluster.get("node", name)["status"]["addresses"] if a["type"] == "InternalIP")


SERVERS = {f"server-{node}-{number}" for node in ("n1", "n2") for number in (1, 2)}


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("client", ["client-n1", "host-n1"])
def test_pods_answer_pods_and_nodes(pair, client, protocol):
    for name in SERVERS:
        address = pair.get("pod", name)["status"]["podIP"]
        assert ask(pair, client, address, 8080, protocol) == {name}


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_service_answers_by_name_by_address_and_on_every_node(pair, protocol):
    spec = service(pair, "front", type="NodePort", ports=[{"port": 80, "targetPort": 8080, "protocol": protocol.upper()}])
    pair.until(lambda: "-" not in ask(pair, "client-n2", spec["clusterIP"], 80, protocol))
    for client in ("client-n1", "client-n2", "host-n1"):
        assert ask(pair, client, spec["clusterIP"], 80, protocol, 40) == SERVERS
        for node in ("n1", "n2"):
            assert ask(pair, client, node_address(pair, node), spec["ports"][0]["nodePort"], protocol, 40) == SERVERS
    assert ask(pair, "client-n1", "front.default.svc", 80, protocol) <= SERVERS
    pair.kubectl("delete", "service", "front")


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort"])
def test_affinity_is_switched_on_and_off(pair, kind):
    spec = service(pair, "sticky", type=kind, sessionAffinity="ClientIP")
    host, port = spec["clusterIP"], 80
    if kind == "NodePort":
        host, port = node_address(pair, "n1"), spec["ports"][0]["nodePort"]
    pair.until(lambda: "-" not in ask(pair, "client-n2", host, port))
    assert len(ask(pair, "client-n2", host, port, times=20)) == 1
    pair.kubectl("patch", "service", "sticky", "-p", '{"spec":{"sessionAffinity":"None"}}')
    pair.until(lambda: len(ask(pair, "client-n2", host, port, times=20)) > 1)
    pair.kubectl("patch", "service", "sticky", "-p", '{"spec":{"sessionAffinity":"ClientIP"}}')
    pair.until(lambda: len(ask(pair, "client-n2", host, port, times=20)) == 1)
    pair.kubectl("delete", "service", "sticky")


def test_one_port_of_two_protocols(pair):
    both = [{"name": p.lower(), "port": 80, "targetPort": 8080, "protocol": p} for p in ("TCP", "UDP")]
    address = service(pair, "both", ports=both)["clusterIP"]

    def answers():
        return tuple("-" not in ask(pair, "client-n1", address, 80, protocol) for protocol in ("tcp", "udp"))

    pair.until(lambda: answers() == (True, True))
    for kept, expected in ((both[:1], (True, False)), (both[1:], (False, True))):
        pair.kubectl("patch", "service", "both", "--type=json", "-p", json.dumps([{"op": "replace", "path": "/spec/ports", "value": kept}]))
        pair.until(lambda expected=expected: answers() == expected)
    pair.kubectl("delete", "service", "both")


def test_a_service_changes_its_type(pair):
    apply(
        pair,
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "moved"},
            "spec": {"type": "ExternalName", "externalName": "old.test"},
        },
    )
    port = {"port": 80, "targetPort": 8080, "protocol": "TCP"}
    become = {"spec": {"type": "NodePort", "externalName": None, "ports": [port], "selector": {"app": "server"}}}
    pair.kubectl("patch", "service", "moved", "--type=merge", "-p", json.dumps(become))
    spec = pair.get("service", "moved")["spec"]
    pair.until(lambda: ask(pair, "client-n1", "moved", 80) <= SERVERS)
    assert ask(pair, "host-n2", node_address(pair, "n1"), spec["ports"][0]["nodePort"]) <= SERVERS
    service(pair, "target")
    back = {
        "spec": {
            "type": "ExternalName",
            "externalName": "target.default.svc.cluster.local",
            "clusterIP": None,
            "clusterIPs": None,
            "ports": None,
        }
    }
    pair.kubectl("patch", "service", "moved", "--type=merge", "-p", json.dumps(back))
    found = pair.get("service", "moved")["spec"]
    assert "clusterIP" not in found
    pair.until(lambda: ask(pair, "client-n1", "moved", 80) <= SERVERS)
    pair.until(lambda: ask(pair, "client-n1", spec["clusterIP"], 80) == {"-"})
    pair.kubectl("delete", "service", "moved", "target")


def test_slices_made_by_hand_lead_to_several_ports_and_addresses(pair):
    apply(
        pair,
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "manual"},
            "spec": {"ports": [{"name": "a", "port": 81, "targetPort": 1}, {"name": "b", "port": 82, "targetPort": 2}]},
        },
    )
    for name, server, target in (("a", "server-n1-1", 8080), ("b", "server-n2-1", 8081)):
        endpoint = {"addresses": [pair.get("pod", server)["status"]["podIP"]]}
        labels = {"kubernetes.io/service-name": "manual"}
        apply(
            pair,
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": f"manual-{name}", "labels": labels},
                "addressType": "IPv4",
                "endpoints": [endpoint],
                "ports": [{"name": name, "port": target, "protocol": "TCP"}],
            },
        )
    address = pair.get("service", "manual")["spec"]["clusterIP"]
    pair.until(lambda: ask(pair, "client-n2", address, 81) == {"server-n1-1"})
    pair.until(lambda: ask(pair, "client-n2", address, 82) == {"server-n2-1"})
    pair.kubectl("delete", "service", "manual")
    pair.until(lambda: ask(pair, "client-n2", address, 81) == {"-"})


def test_ports_of_the_host_differ_by_address_or_protocol(pair):
    node = node_address(pair, "n1")
    for name, host_ip, protocol in (("one", "127.0.0.1", "TCP"), ("two", node, "TCP"), ("three", node, "UDP")):
        port = {"containerPort": 8080, "hostPort": 54323, "hostIP": host_ip, "protocol": protocol}
        tree = pod(name, "n1", ["python3", "-c", SAY_NAME, "8080"], container={"ports": [port]})
        del tree["spec"]["nodeName"]
        tree["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "n1"}
        apply(pair, tree)
    pair.kubectl("wait", "pod/one", "pod/two", "pod/three", "--for=condition=Ready", "--timeout=60s")
    pair.until(lambda: ask(pair, "host-n1", "127.0.0.1", 54323) == {"one"})
    pair.until(lambda: ask(pair, "host-n1", node, 54323) == {"two"})
    pair.until(lambda: ask(pair, "host-n1", node, 54323, "udp") == {"three"})
    pair.kubectl("delete", "pod", "one", "two", "three")


def test_names_of_services_are_resolved_whole_and_in_part(pair):
    service(pair, "named", ports=[{"name": "http", "port": 80, "targetPort": 8080}])
    service(pair, "headless", clusterIP="None", ports=[{"name": "http", "port": 8080}])
    address = pair.get("service", "named")["spec"]["clusterIP"]
    addresses = {pair.get("pod", name)["status"]["podIP"] for name in SERVERS}

    def resolved(name):
        done = pair.kubectl("exec", "client-n1", "--", "getent", "ahostsv4", name, check=False)
        return {line.split()[0] for line in done.stdout.splitlines()}

    for ending in ("", ".default", ".default.svc", ".default.svc.cluster.local", ".default.svc.cluster.local."):
        pair.until(lambda ending=ending: resolved(f"named{ending}") == {address})
        pair.until(lambda ending=ending: resolved(f"headless{ending}") == addresses)
    pair.kubectl("delete", "service", "named", "headless")


def test_a_service_withdraws_from_pods_that_end_and_are_not_ready(pair):
    gate = {"readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1}}
    apply(pair, pod("gated", "n1", ["python3", "-c", SAY_NAME, "8080"], container=gate, app="gated"))
    spec = service(pair, "gated", selector={"app": "gated"})
    assert ask(pair, "client-n2", spec["clusterIP"], 80) == {"-"}
    pair.until(lambda: pair.get("pod", "gated")["status"]["phase"] == "Running")
    pair.kubectl("exec", "gated", "--", "touch", "/tmp/ready")
    pair.until(lambda: ask(pair, "client-n2", spec["clusterIP"], 80) == {"gated"})
    pair.kubectl("delete", "pod", "gated", "--wait=false")
    pair.until(lambda: ask(pair, "client-n2", spec["clusterIP"], 80) == {"-"})
    pair.kubectl("delete", "service", "gated")


def test_network_policies_keep_pods_apart(pair):
    server, address = "server-n1-1", pair.get("pod", "server-n1-1")["status"]["podIP"]
    pair.kubectl("label", "pod", server, "guarded=yes")
    pair.kubectl("label", "pod", "client-n2", "role=friend")
    rules = {"podSelector": {"matchLabels": {"guarded": "yes"}}, "policyTypes": ["Ingress"]}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "guard"}, "spec": rules}
    done = pair.kubectl("apply", "-f", "-", input=json.dumps(policy))
    assert "Warning" not in done.stderr
    try:
        for client in ("client-n1", "client-n2"):
            pair.until(lambda client=client: ask(pair, client, address, 8080) == {"-"})
        friends = [{"from": [{"podSelector": {"matchLabels": {"role": "friend"}}}], "ports": [{"port": 8080}]}]
        apply(pair, {**policy, "spec": {**rules, "ingress": friends}})
        pair.until(lambda: ask(pair, "client-n2", address, 8080) == {server})
        assert ask(pair, "client-n2", address, 8081) == {"-"}
        assert ask(pair, "client-n1", address, 8080) == {"-"}
        apply(
            pair,
            {
                **policy,
                "metadata": {"name": "quiet"},
                "spec": {"podSelector": {"matchLabels": {"role": "friend"}}, "policyTypes": ["Egress"]},
            },
        )
        pair.until(lambda: ask(pair, "client-n2", address, 8080) == {"-"})
        names = {
            "to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
            "ports": [{"port": 53, "protocol": "UDP"}],
        }
        spec = {"podSelector": {"matchLabels": {"role": "friend"}}, "policyTypes": ["Egress"], "egress": [names]}

        def resolved():
            look = ("env", "RES_OPTIONS=timeout:1 attempts:1", "getent", "hosts", "kubernetes.default")
            return pair.kubectl("exec", "client-n2", "--", *look, check=False).stdout

        assert resolved() == ""
        apply(pair, {**policy, "metadata": {"name": "quiet"}, "spec": spec})
        pair.until(resolved)
        conditions = pair.get("node", "n1")["status"]["conditions"]
        assert next(c["status"] for c in conditions if c["type"] == "NetworkPolicyReady") == "True"
    finally:
        pair.kubectl("delete", "networkpolicy", "guard", "quiet", "--ignore-not-found")
    pair.until(lambda: ask(pair, "client-n1", address, 8080) == {server})
