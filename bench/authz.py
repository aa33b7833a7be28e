"""What a decision costs: RBAC, the node authorizer, and the chain that says who asks. Microseconds, best of five rounds.

.venv/bin/python bench/authz.py
"""

import asyncio
import time
import tracemalloc

from bareboat.auth.account_tokens import TokenAuthenticator
from bareboat.auth.authority import Authority
from bareboat.auth.tokens import Issuer, Keys
from bareboat.cluster.pki.authority import key_pem
from bareboat.contracts.auth import Attributes, Credentials, Required, UserInfo
from bareboat.models import authentication_v1, core_v1, rbac_v1
from bareboat.models.codec import from_tree
from bareboat.models.scheme import Scheme
from bareboat.testing.kernel import Kernel
from bareboat_authz_rbac.graph import Graph
from bareboat_authz_rbac.plugin import bareboat_authorizers, bareboat_bootstrap_objects

ROUNDS, CALLS, PODS = 5, 10_000, 5_000
CONTROLLER = UserInfo(
    name="system:serviceaccount:kube-system:replicaset-controller",
    groups=("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"),
)
NODE = UserInfo(name="system:node:n7", groups=("system:nodes", "system:authenticated"))
JANE = UserInfo(name="jane", groups=("team-500", "system:authenticated"))
IN = {"namespace": "default"}
NOBODY = UserInfo(name="nobody", groups=("system:authenticated",))


async def cost(ask):
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            await ask()
        best = min(best, time.perf_counter() - start)
    return best / CALLS * 1e6


async def fill(kernel):
    scheme = Scheme.builtin()
    for tree in bareboat_bootstrap_objects():
        await kernel.client.create(from_tree(scheme.by_kind(tree["apiVersion"], tree["kind"]).type, tree))
    for i in range(1_000):
        binding = {
            "metadata": {"name": f"b{i}", "namespace": "default"},
            "roleRef": {"kind": "ClusterRole", "name": "edit"},
            "subjects": [{"kind": "Group", "name": f"team-{i}"}],
        }
        await kernel.client.create(from_tree(rbac_v1.RoleBinding, binding))
    for i in range(PODS):
        spec = {
            "nodeName": f"n{i % 100}",
            "containers": [{"name": "c", "image": "x"}],
            "serviceAccountName": "bot",
            "volumes": [{"name": "v", "secret": {"secretName": f"s{i}"}}, {"name": "m", "configMap": {"name": "kube-root-ca.crt"}}],
        }
        await kernel.client.create(from_tree(core_v1.Pod, {"metadata": {"name": f"p{i}", "namespace": "default"}, "spec": spec}))


async def main():
    kernel = await Kernel().start(("default", "kube-system", "kube-public"))
    await fill(kernel)
    rbac, node = bareboat_authorizers(kernel.reader)
    authority = Authority([node, rbac])
    cases = {
        "controller updates a ReplicaSet (node, rbac)": (
            CONTROLLER,
            {"verb": "update", "group": "apps", "resource": "replicasets", "subresource": "status", **IN, "name": "x"},
        ),
        "user of one of 1,000 bindings creates a Pod": (JANE, {"verb": "create", "resource": "pods", **IN}),
        "user without rights is refused": (NOBODY, {"verb": "get", "resource": "secrets", **IN, "name": "x"}),
        "node reads a Secret of its pod": (NODE, {"verb": "get", "resource": "secrets", **IN, "name": "s7"}),
        "node reads another node's Secret: refused": (NODE, {"verb": "get", "resource": "secrets", **IN, "name": "s8"}),
        "node watches its pods": (NODE, {"verb": "watch", "resource": "pods", "fields": (Required("spec.nodeName", "In", ("n7",)),)}),
    }
    for name, (user, about) in cases.items():
        asked = Attributes(user=user, **about)
        verdict = (await authority.authorize(asked)).verdict
        print(f"{name:50} {await cost(lambda asked=asked: authority.authorize(asked)):7.2f} µs   {verdict}")
    await tokens(kernel)
    graph(kernel)
    await kernel.stop()


async def tokens(kernel):
    from cryptography.hazmat.primitives.asymmetric import ec

    keys = Keys(key_pem(ec.generate_private_key(ec.SECP256R1())))
    await kernel.client.create(from_tree(core_v1.ServiceAccount, {"metadata": {"name": "bot", "namespace": "default"}}))
    pod = await kernel.client.get(core_v1.Pod, "p1", "default")
    reference = authentication_v1.BoundObjectReference(kind="Pod", apiVersion="v1", name="p1", uid=pod.metadata.uid)
    spec = authentication_v1.TokenRequestSpec(boundObjectRef=reference)
    issued = Issuer(keys, kernel.reader, kernel.clock, kernel.ids).issue("default", "bot", authentication_v1.TokenRequest(spec=spec))
    accounts = TokenAuthenticator(keys, kernel.reader, kernel.clock)
    shown = Credentials(token=issued.status.token)
    start = time.perf_counter()
    await accounts.authenticate(shown)
    print(f"{'token bound to a pod, first time (signature)':50} {(time.perf_counter() - start) * 1e6:7.2f} µs")
    print(f"{'token bound to a pod, then (account and pod looked at)':50} {await cost(lambda: accounts.authenticate(shown)):7.2f} µs")


def graph(kernel):
    tracemalloc.start()
    start = time.perf_counter()
    made = Graph(kernel.reader)
    seconds = time.perf_counter() - start
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    start = time.perf_counter()
    for _ in range(CALLS):
        made._pod("default", "p1")
    again = (time.perf_counter() - start) / CALLS * 1e6
    print(f"{f'graph of {PODS:,} pods: built':50} {seconds / PODS * 1e6:7.2f} µs per pod (traced), {size / PODS:.0f} bytes per pod")
    print(f"{'graph: one pod changed':50} {again:7.2f} µs")


asyncio.run(main())
