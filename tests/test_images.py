"""Images in a cluster: pods that pull them from a registry with a pull secret, what people are told, and the node's store from outside."""

import asyncio
import json

import pytest

from bareboat.testing import oci, registry

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(registry.missing()), reason=f"needs {registry.missing()}"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with registry.Registry(tmp_path_factory.mktemp("registry"), auth=("me", "secret")) as found:
        yield found


def pod(name, image, **spec):
    container = {"name": "c", "image": image, "command": ["sh", "-c", "echo from $WHERE; sleep 3600"], **spec.pop("container", {})}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def create(cluster, *objects):
    for found in objects:
        cluster.kubectl("create", "-f", "-", input=json.dumps(found))


def waiting(cluster, name):
    statuses = cluster.get("pod", name)["status"].get("containerStatuses") or [{}]
    return statuses[0].get("state", {}).get("waiting", {})


def events(cluster, name):
    found = cluster.get("events", "--field-selector", f"involvedObject.name={name}")["items"]
    return {(e["type"], e["reason"], e["message"]) for e in found}


def test_a_pod_pulls_with_the_secret_of_its_service_account(cluster, served):
    asyncio.run(oci.push(served.url, "team/app", "1", oci.build([oci.busybox()], Env=["WHERE=registry"]), auth=("me", "secret")))
    image = f"{served.host}/team/app:1"
    cluster.kubectl(
        *("create", "secret", "docker-registry", "opens", f"--docker-server={served.host}/team"),
        *("--docker-username=me", "--docker-password=secret"),
    )
    cluster.kubectl("create", "serviceaccount", "puller")
    cluster.kubectl("patch", "serviceaccount", "puller", "-p", '{"imagePullSecrets": [{"name": "opens"}]}')
    create(cluster, pod("pulled", image, serviceAccountName="puller"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/pulled", "--timeout=60s")
    assert cluster.kubectl("logs", "pulled").stdout == "from registry\n"
    told = events(cluster, "pulled")
    assert ("Normal", "Pulling", f'Pulling image "{image}"') in told
    assert any(e[1] == "Pulled" and e[2].startswith(f'Successfully pulled image "{image}" in ') for e in told)


def test_a_pod_without_the_secret_is_refused_and_backs_off(cluster, served):
    asyncio.run(oci.push(served.url, "other/app", "1", oci.build([oci.busybox()]), auth=("me", "secret")))
    image = f"{served.host}/other/app:1"
    create(cluster, pod("refused", image))
    found = cluster.until(lambda: (w := waiting(cluster, "refused")) and w.get("reason") == "ImagePullBackOff" and w)
    assert found["message"].startswith(f'Back-off pulling image "{image}": ErrImagePull: ')
    told = events(cluster, "refused")
    assert {"Pulling", "Failed", "BackOff"} <= {e[1] for e in told}
    assert ("Warning", "Failed", "Error: ErrImagePull") in told
    cluster.kubectl("delete", "pod", "refused", "--now")


def test_an_image_that_does_not_exist_says_so(cluster, served):
    create(cluster, pod("missing", "registry.invalid/no/such:1"))
    cluster.until(lambda: waiting(cluster, "missing").get("reason") in ("ErrImagePull", "ImagePullBackOff"))
    create(
        cluster, pod("never", "registry.invalid/no/such:1", containers=[{"name": "c", "image": "x.example/a", "imagePullPolicy": "Never"}])
    )
    cluster.until(lambda: waiting(cluster, "never").get("reason") == "ErrImageNeverPull")
    cluster.kubectl("delete", "pod", "missing", "never", "--now")
