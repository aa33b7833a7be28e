"""Small objects that the tests of verbs make."""

from bareboat.models import core_v1, meta_v1
from bareboat.models.codec import from_tree


def configmap(name="a", namespace="default", labels=None, **data):
    return core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=name, namespace=namespace, labels=labels or {}), data=data)


def pod(name="p", namespace="default", labels=None, **spec):
    tree = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {"app": "x"}},
        "spec": {"containers": [{"name": "c", "image": "host"}], **spec},
    }
    return from_tree(core_v1.Pod, tree)
