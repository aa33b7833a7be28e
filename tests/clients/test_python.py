"""Programs that people have, in Python: the official client (static, dynamic, watch, exec, port-forward), kr8s and lightkube."""

import threading

import kr8s
import pytest
from kr8s.objects import ConfigMap as Kr8sConfigMap
from kr8s.objects import Deployment as Kr8sDeployment
from kr8s.objects import Pod as Kr8sPod
from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import portforward, stream
from lightkube import Client as Lightkube
from lightkube import KubeConfig, codecs
from lightkube.core.exceptions import ApiError as LightkubeError
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Pod
from lightkube.types import PatchType

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(240),
    # what the clients leave open or warn of is theirs
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning", "ignore::UserWarning"),
]
IDLE = ["sh", "-c", "echo started; exec sleep 1000"]


def pod(name):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"made-by": "client"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "host", "command": IDLE}]},
    }


class TestOfficialClient:
    @pytest.fixture
    def api(self, cluster):
        return config.new_client_from_config(str(cluster.kubeconfig))

    def test_objects_are_made_read_changed_and_deleted(self, api):
        core = client.CoreV1Api(api)
        made = core.create_namespaced_config_map("default", {"metadata": {"name": "official"}, "data": {"a": "b"}})
        assert made.metadata.uid
        core.patch_namespaced_config_map("official", "default", {"data": {"c": "d"}})
        found = core.read_namespaced_config_map("official", "default")
        assert found.data == {"a": "b", "c": "d"}
        found.data = {"e": "f"}
        assert core.replace_namespaced_config_map("official", "default", found).data == {"e": "f"}
        names = [c.metadata.name for c in core.list_namespaced_config_map("default", field_selector="metadata.name=official").items]
        assert names == ["official"]
        core.delete_namespaced_config_map("official", "default")
        with pytest.raises(ApiException) as gone:
            core.read_namespaced_config_map("official", "default")
        assert (gone.value.status, gone.value.reason) == (404, "Not Found")

    def test_pages_are_followed(self, api):
        core = client.CoreV1Api(api)
        for number in range(7):
            core.create_namespaced_config_map("default", {"metadata": {"name": f"page-{number}", "labels": {"pages": "1"}}})
        seen, token = [], None
        while True:
            page = core.list_namespaced_config_map("default", label_selector="pages=1", limit=3, _continue=token)
            seen += [c.metadata.name for c in page.items]
            token = page.metadata._continue
            if not token:
                break
        assert seen == [f"page-{n}" for n in range(7)]
        core.delete_collection_namespaced_config_map("default", label_selector="pages=1")
        assert core.list_namespaced_config_map("default", label_selector="pages=1").items == []

    def test_a_watch_sees_what_others_do(self, api):
        core = client.CoreV1Api(api)
        since = core.list_namespaced_config_map("default").metadata.resource_version

        def others():
            core.create_namespaced_config_map("default", {"metadata": {"name": "watched", "labels": {"watch": "1"}}})
            core.patch_namespaced_config_map("watched", "default", {"data": {"a": "b"}})
            core.delete_namespaced_config_map("watched", "default")

        thread = threading.Thread(target=others)
        thread.start()
        events = watch.Watch().stream(
            core.list_namespaced_config_map, "default", label_selector="watch=1", resource_version=since, timeout_seconds=10
        )
        kinds = []
        for event in events:
            kinds.append(event["type"])
            if event["type"] == "DELETED":
                break
        thread.join()
        assert kinds == ["ADDED", "MODIFIED", "DELETED"]

    def test_pods_are_run_logged_entered_and_forwarded_to(self, api, cluster):
        core = client.CoreV1Api(api)
        core.create_namespaced_pod("default", pod("official"))
        cluster.until(lambda: core.read_namespaced_pod("official", "default").status.phase == "Running")
        raw = core.read_namespaced_pod_log("official", "default", _preload_content=False)  # some versions spell bytes as text
        assert raw.data == b"started\n"
        said = stream(core.connect_get_namespaced_pod_exec, "official", "default", command=["echo", "hi"], stdout=True, stderr=True)
        assert said == "hi\n"
        talk = stream(
            core.connect_get_namespaced_pod_exec,
            "official",
            "default",
            command=["sh", "-c", "read x; echo got $x; exit 4"],
            stdin=True,
            stdout=True,
            stderr=True,
            _preload_content=False,
        )
        talk.write_stdin("it\n")
        talk.run_forever(timeout=10)
        assert talk.read_stdout() == "got it\n"
        assert talk.returncode == 4
        serve = ["python3", "-c", "import socket;s=socket.create_server(('',7000));c=s.accept()[0];c.sendall(b'me '+c.recv(9));c.close()"]
        stream(core.connect_get_namespaced_pod_exec, "official", "default", command=["sh", "-c", "true"], stdout=True)
        server = stream(
            core.connect_get_namespaced_pod_exec, "official", "default", command=serve, stdout=True, stderr=True, _preload_content=False
        )

        def answered():
            forward = portforward(core.connect_get_namespaced_pod_portforward, "official", "default", ports="7000")
            socket = forward.socket(7000)
            socket.settimeout(5)
            socket.sendall(b"too")
            try:
                return socket.recv(100)
            finally:
                socket.close()

        assert cluster.until(answered, 20) == b"me too"
        server.close()
        core.delete_namespaced_pod("official", "default")
        cluster.until(lambda: "official" not in [p.metadata.name for p in core.list_namespaced_pod("default").items])

    def test_the_dynamic_client_discovers_and_applies(self, api, tmp_path):
        found = dynamic.DynamicClient(api)
        deployments = found.resources.get(api_version="apps/v1", kind="Deployment")
        template = {"metadata": {"labels": {"a": "dynamic"}}, "spec": {"containers": [{"name": "c", "image": "host", "command": IDLE}]}}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "dynamic"},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "dynamic"}}, "template": template},
        }
        applied = deployments.server_side_apply(body=body, name="dynamic", namespace="default", field_manager="tests")
        assert [e.manager for e in applied.metadata.managedFields if e.operation == "Apply"] == ["tests"]
        assert (
            deployments.patch(
                body={"metadata": {"labels": {"x": "y"}}}, name="dynamic", namespace="default", content_type="application/merge-patch+json"
            ).metadata.labels.x
            == "y"
        )
        deployments.status.get(name="dynamic", namespace="default")
        deployments.delete(name="dynamic", namespace="default")
        groups = set(found.resources.api_groups)
        assert {"apps", "batch", "rbac.authorization.k8s.io"} <= groups


class TestKr8s:
    def test_it_makes_waits_and_deletes(self, cluster):
        api = kr8s.api(kubeconfig=str(cluster.kubeconfig))
        assert api.version()["major"] == "1"
        made = Kr8sPod(pod("kr8s"), api=api)
        made.create()
        made.wait("condition=Ready", timeout=60)
        assert list(made.logs()) == ["started"]
        assert made.exec(["echo", "hi"]).stdout == b"hi\n"
        made.label({"extra": "label"})
        made.refresh()
        assert made.labels["extra"] == "label"
        assert "kr8s" in [p.name for p in api.get("pods", namespace="default", label_selector="made-by=client")]
        made.delete()
        made.wait("delete", timeout=60)

    def test_it_scales(self, cluster):
        api = kr8s.api(kubeconfig=str(cluster.kubeconfig))
        template = {"metadata": {"labels": {"a": "k"}}, "spec": {"containers": [{"name": "c", "image": "host", "command": IDLE}]}}
        spec = {"replicas": 0, "selector": {"matchLabels": {"a": "k"}}, "template": template}
        made = Kr8sDeployment({"metadata": {"name": "kr8s", "namespace": "default"}, "spec": spec}, api=api)
        made.create()
        made.scale(1)
        made.refresh()
        assert made.replicas == 1
        made.delete()

    def test_it_keeps_config(self, cluster):
        api = kr8s.api(kubeconfig=str(cluster.kubeconfig))
        made = Kr8sConfigMap({"metadata": {"name": "kr8s", "namespace": "default"}, "data": {"a": "b"}}, api=api)
        made.create()
        made.patch({"data": {"c": "d"}})
        assert Kr8sConfigMap.get("kr8s", namespace="default", api=api).data == {"a": "b", "c": "d"}
        made.delete()


class TestLightkube:
    @pytest.fixture
    def api(self, cluster):
        return Lightkube(config=KubeConfig.from_file(str(cluster.kubeconfig)), namespace="default", field_manager="lightkube")

    def test_objects_are_made_read_changed_and_deleted(self, api):
        made = api.create(ConfigMap(metadata=ObjectMeta(name="lightkube"), data={"a": "b"}))
        made.data["c"] = "d"
        assert api.replace(made).data == {"a": "b", "c": "d"}
        assert api.patch(ConfigMap, "lightkube", {"data": {"a": None}}, patch_type=PatchType.MERGE).data == {"c": "d"}
        assert "lightkube" in [c.metadata.name for c in api.list(ConfigMap)]
        api.delete(ConfigMap, "lightkube")
        with pytest.raises(LightkubeError) as gone:
            api.get(ConfigMap, "lightkube")
        assert gone.value.status.reason == "NotFound"

    def test_it_applies_on_the_server_and_watches(self, api):
        labels = {"app": "lightkube"}
        template = PodTemplateSpec(
            metadata=ObjectMeta(labels=labels), spec=PodSpec(containers=[Container("c", image="host", command=IDLE)])
        )
        spec = DeploymentSpec(replicas=1, selector=LabelSelector(matchLabels=labels), template=template)
        api.apply(Deployment(metadata=ObjectMeta(name="lightkube", namespace="default"), spec=spec))
        for kind, found in api.watch(Deployment, fields={"metadata.name": "lightkube"}):
            if kind != "DELETED" and found.status and found.status.readyReplicas == 1:
                break
        assert api.get(Deployment.Scale, "lightkube").spec.replicas == 1
        assert [p.status.phase for p in api.list(Pod, labels=labels)] == ["Running"]
        api.delete(Deployment, "lightkube")

    def test_manifests_are_loaded(self, api):
        text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: loaded, namespace: default}\ndata: {a: b}\n"
        for obj in codecs.load_all_yaml(text):
            api.create(obj)
            api.delete(type(obj), obj.metadata.name)
