"""Whose the files of a volume are, and who may read them."""

import os
import stat
from types import SimpleNamespace

import pytest

from bareboat.models import core_v1
from bareboat.models.codec import from_tree
from bareboat.node.translation import port_mappings
from bareboat.node.volumes import Volumes

ME = os.getuid()


@pytest.fixture
def volumes(tmp_path):
    async def token(pod, projection):
        return "secret"

    async def find(cls, name, namespace):
        return cls(data={"key": "dmFsdWU="})

    storage = SimpleNamespace(tear_down=None)
    return Volumes(tmp_path, find, token, {}, None, storage)


def pod(security=None, users=(None,), mode=0o644):
    sources = [{"serviceAccountToken": {"path": "token"}}, {"secret": {"name": "s"}}]
    containers = [
        {"name": f"c{number}", "image": "i", **({} if user is None else {"securityContext": {"runAsUser": user}})}
        for number, user in enumerate(users)
    ]
    spec = {"containers": containers, "volumes": [{"name": "v", "projected": {"sources": sources, "defaultMode": mode}}]}
    if security is not None:
        spec["securityContext"] = security
    return from_tree(core_v1.Pod, {"metadata": {"name": "p", "namespace": "d"}, "spec": spec})


@pytest.mark.parametrize(
    ("asking", "mode"),
    [
        (pod(), 0o644),
        (pod(mode=0o444), 0o444),
        (pod({"runAsUser": ME}), 0o600),
        (pod(users=(ME, ME)), 0o600),
        (pod(users=(ME, None)), 0o644),
        (pod({"fsGroup": os.getgid()}), 0o640),
    ],
    ids=["nobody in particular", "as it is written", "the pod's user", "the user of each container", "of some only", "a group"],
)
async def test_a_token_is_private_to_the_one_user_or_the_group_of_the_pod(volumes, tmp_path, asking, mode):
    """As upstream's kubelet: KEP-1205, file permission."""
    await volumes.set_up(asking)
    found = (tmp_path / "volumes/v/token").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (mode, ME, os.getgid())
    other = (tmp_path / "volumes/v/key").stat().st_mode
    assert stat.S_IMODE(other) == asking.spec.volumes[0].projected.defaultMode


@pytest.mark.skipif(ME != 0, reason="only root gives files to others")
async def test_the_token_of_a_pod_with_one_user_is_that_users(volumes, tmp_path):
    await volumes.set_up(pod(users=(1234, 1234)))
    found = (tmp_path / "volumes/v/token").stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (1234, 0o600)
    assert (tmp_path / "volumes/v/key").stat().st_uid == 0


def test_sidecars_have_their_ports_on_the_host_too():
    port = {"containerPort": 80, "hostPort": 8080}
    inits = [
        {"name": "s", "image": "i", "restartPolicy": "Always", "ports": [port]},
        {"name": "i", "image": "i", "ports": [{**port, "hostPort": 1}]},
    ]
    spec = {"containers": [{"name": "c", "image": "i", "ports": [{**port, "hostPort": 8081}]}], "initContainers": inits}
    found = from_tree(core_v1.Pod, {"metadata": {"name": "p", "namespace": "d"}, "spec": spec})
    assert [p.host_port for p in port_mappings(found)] == [8081, 8080]
