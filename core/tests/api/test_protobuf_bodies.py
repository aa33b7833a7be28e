"""What typed clients send as protobuf, besides objects."""

import pytest

from bareboat.models import coordination_v1, core_v1, meta_v1, rbac_v1
from bareboat.models.protobuf_encoding import encode
from bareboat.models.status import NotFound

PROTOBUF = "application/vnd.kubernetes.protobuf"


@pytest.mark.parametrize(
    ("cls", "path", "namespace"),
    [
        (core_v1.ConfigMap, "/api/v1/namespaces/default/configmaps/x", "default"),
        (coordination_v1.Lease, "/apis/coordination.k8s.io/v1/namespaces/default/leases/x", "default"),
        (rbac_v1.ClusterRole, "/apis/rbac.authorization.k8s.io/v1/clusterroles/x", ""),
    ],
)
async def test_options_of_a_delete_may_be_of_the_group_of_what_is_deleted(kernel, cls, path, namespace):
    made = await kernel.client.create(cls(metadata=meta_v1.ObjectMeta(name="x", namespace=namespace)))
    options = {"apiVersion": made.apiVersion, "kind": "DeleteOptions", "preconditions": {"uid": "another"}}

    async def delete():
        return await kernel.client.transport.request("DELETE", path, body=encode(options), content_type=PROTOBUF)

    assert (await delete()).status == 409
    options["preconditions"]["uid"] = made.metadata.uid
    assert (await delete()).status == 200
    with pytest.raises(NotFound):
        await kernel.client.get(cls, "x", namespace)
