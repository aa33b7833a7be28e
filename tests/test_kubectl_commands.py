"""Every subcommand of kubectl against a real cluster: each line is one command and what it has to print.

The lines run in order and build on each other, in a namespace of their own.
"""

import os
import re
import subprocess

import pytest

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]
SPACE = "commands"
#: Goes when it is told to; a bare `sleep` as the first process is deaf, and the node waits for it for 30 s.
POLITE = r"trap\ exit\ TERM;sleep\ 1000&wait"

#: (words, what the output has to match, exit code)
LINES = [
    ("version", r"Server Version: v1\.36\.0\+bareboat"),
    ("cluster-info", r"control plane.* is running at .*https://"),
    ("api-resources", r"(?m)^deployments\s+deploy\s+apps/v1\s+true\s+Deployment$"),
    ("api-versions", r"(?m)^apps/v1$"),
    (f"create deployment web --image=host -- sh -c {POLITE}", r"deployment.apps/web created"),
    ("rollout status deploy/web --timeout=60s", r"successfully rolled out"),
    ("set env deploy/web A=B", r"env updated"),
    ("set resources deploy/web --limits=cpu=200m,memory=64Mi", r"resource requirements updated"),
    ("set image deploy/web host=host:latest", r"image updated"),
    ("set image deploy/web host=host", r"image updated"),
    ("rollout status deploy/web --timeout=60s", r"successfully rolled out"),
    ("rollout history deploy/web", r"(?s)REVISION\s+CHANGE-CAUSE.*4\s+<none>"),
    ("rollout undo deploy/web", r"rolled back"),
    ("rollout pause deploy/web", r"paused"),
    ("rollout resume deploy/web", r"resumed"),
    ("rollout restart deploy/web", r"restarted"),
    ("rollout status deploy/web --timeout=60s", r"successfully rolled out"),
    ("scale deploy/web --replicas=2", r"scaled"),
    ("autoscale deploy/web --min=1 --max=3 --cpu-percent=80", r"autoscaled"),
    ("get hpa", r"(?s)NAME\s+REFERENCE\s+TARGETS\s+MINPODS\s+MAXPODS\s+REPLICAS\s+AGE.*web\s+Deployment/web\s+cpu: .*/80%"),
    ("expose deploy/web --port=80 --target-port=8080", r"service/web exposed"),
    ("describe deploy web", r"(?s)Name:\s+web.*Events:"),
    ("describe svc web", r"(?s)Selector:\s+app=web"),
    ("describe hpa web", r"(?s)Reference:\s+Deployment/web"),
    ("describe node n1", r"(?s)Roles:.*Conditions:.*Ready\s+True.*Allocatable:.*Non-terminated Pods:"),
    ("get pods --sort-by=.metadata.creationTimestamp", r"NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE"),
    ("get deploy -o custom-columns=N:.metadata.name,R:.spec.replicas", r"N\s+R\nweb\s+2"),
    ("get deploy web -o jsonpath={.spec.replicas}", r"^2$"),
    ("get deploy web -o go-template={{.metadata.name}}", r"^web$"),
    ("get deploy -o wide", r"NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE\s+CONTAINERS\s+IMAGES\s+SELECTOR"),
    ("get deploy -L app --show-labels", r"APP\s+LABELS"),
    ("get all", r"(?s)pod/web.*service/web.*deployment.apps/web.*replicaset.apps/web"),
    ("get events --sort-by=.lastTimestamp", r"LAST SEEN\s+TYPE\s+REASON\s+OBJECT\s+MESSAGE"),
    ("events", r"LAST SEEN\s+TYPE\s+REASON\s+OBJECT\s+MESSAGE"),
    ("explain deploy.spec --recursive", r"(?s)KIND:\s+Deployment.*replicas\s+<integer>"),
    ("explain pod.spec.containers.image", r"(?s)FIELD: image <string>.*DESCRIPTION:"),
    ("label deploy web x=y", r"labeled"),
    ("annotate deploy web x=y", r"annotated"),
    ("taint node n1 k=v:NoSchedule", r"tainted"),
    ("taint node n1 k-", r"untainted"),
    ("cordon n1", r"cordoned"),
    ("get node n1", r"Ready,SchedulingDisabled"),
    ("uncordon n1", r"uncordoned"),
    ("create configmap cm --from-literal=a=b", r"created"),
    ("create secret generic s --from-literal=a=b", r"created"),
    ("create secret docker-registry dr --docker-server=x --docker-username=u --docker-password=p", r"created"),
    ("create namespace commands-2", r"created"),
    ("create serviceaccount sa1", r"created"),
    ("create token sa1 --duration=10m", r"^[\w-]+\.[\w-]+\.[\w-]+$"),
    ("create role r --verb=get --resource=pods", r"created"),
    ("create rolebinding rb --role=r --serviceaccount=commands:sa1", r"created"),
    ("create clusterrole commands --verb=get --resource=pods", r"created"),
    ("create clusterrolebinding commands --clusterrole=commands --user=x", r"created"),
    ("create quota q --hard=configmaps=100", r"created"),
    ("describe quota q", r"configmaps\s+\d+\s+100"),
    ("create priorityclass commands --value=10", r"created"),
    ("create poddisruptionbudget pdb --selector=app=web --max-unavailable=1", r"created"),
    ("create ingress ing --rule=a.com/=web:80", r"created"),
    ("create service clusterip cip --tcp=80", r"created"),
    ("create service nodeport np --tcp=80", r"created"),
    ("create job j1 --image=host -- true", r"created"),
    ("wait job/j1 --for=condition=complete --timeout=60s", r"condition met"),
    ("get jobs", r"(?s)NAME\s+STATUS\s+COMPLETIONS\s+DURATION\s+AGE.*j1\s+Complete\s+1/1"),
    ("create cronjob cj --image=host --schedule=@yearly -- true", r"created"),
    ("create job j2 --from=cronjob/cj", r"created"),
    ("auth can-i create pods", r"yes"),
    ("auth can-i --list", r"Resources\s+Non-Resource URLs\s+Resource Names\s+Verbs"),
    ("auth can-i delete pods --as=system:serviceaccount:commands:sa1", r"no", 1),
    ("auth can-i get pods --as=system:serviceaccount:commands:sa1", r"yes"),
    ("auth whoami", r"(?s)Username\s+kubernetes-admin"),
    (rf"run p1 --image=host --restart=Never -- sh -c echo\ hi;{POLITE}", r"pod/p1 created"),
    ("wait pod/p1 --for=condition=Ready --timeout=60s", r"condition met"),
    ("logs p1", r"^hi$"),
    ("logs -l app=web --prefix", r""),
    ("exec p1 -- echo x", r"^x$"),
    ("run once --image=host --restart=Never --rm -i --command -- echo hello", r"hello"),
    ('patch deploy web -p {"spec":{"replicas":1}}', r"patched"),
    ('patch deploy web --type=json -p [{"op":"replace","path":"/spec/replicas","value":2}]', r"patched"),
    ('patch deploy web --subresource=scale --type=merge -p {"spec":{"replicas":1}}', r"patched"),
    ("get cm cm -o yaml", r"(?s)apiVersion: v1\ndata:\n  a: b\nkind: ConfigMap"),
    ("edit cm cm", r"edited"),
    ("get cm cm -o jsonpath={.data.a}", r"^edited$"),
    ("config view --minify", r"current-context: "),
    ("get --raw /version", r'"gitVersion":'),
    ("delete job j1 --cascade=orphan", r"deleted"),
    ("get pods -l batch.kubernetes.io/job-name=j1", r"j1-\w+\s+0/1\s+Completed"),
    ("drain n1 --ignore-daemonsets --delete-emptydir-data --force --disable-eviction --timeout=60s", r"drained"),
    ("uncordon n1", r"uncordoned"),
    ("cluster-info dump --namespaces commands", r'"kind": "NodeList"'),
    ("delete deploy web --cascade=foreground --timeout=60s", r"deleted"),
    ("get pods -l app=web", r"No resources found"),
    (f"run p2 --image=host --restart=Never -- sh -c {POLITE}", r"pod/p2 created"),
    ("delete pods --all --grace-period=0 --force", r"deleted"),
    ("delete clusterrole/commands clusterrolebinding/commands priorityclass/commands", r"deleted"),
    ("delete namespace commands-2 --timeout=60s", r"deleted"),
]


@pytest.fixture(scope="module")
def commands(cluster):
    cluster.kubectl("create", "namespace", SPACE)
    yield cluster
    cluster.kubectl("delete", "namespace", SPACE, "--timeout=90s")


def words(line):
    """Spaces part words, but for those behind a backslash."""
    return [word.replace("\0", " ") for word in line.replace("\\ ", "\0").split()]


def kubectl(cluster, *arguments, **options):
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "HOME": str(cluster.data_dir),
        "EDITOR": "sed -i s/a:.b$/a:\\ edited/",
    }
    return subprocess.run(
        ["kubectl", "-n", SPACE, *arguments], env=environment, capture_output=True, text=True, timeout=90, check=False, **options
    )


def test_every_command_does_and_prints_what_it_should(commands):
    failed = []
    for line in LINES:
        text, pattern, code = line if len(line) == 3 else (*line, 0)
        done = kubectl(commands, *words(text))
        if done.returncode != code or not re.search(pattern, done.stdout.strip() or done.stderr.strip()):
            failed.append(f"kubectl {text}: {done.returncode}\n{done.stdout[-600:]}\n{done.stderr[-600:]}")
    assert not failed, "\n".join(failed)


MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {a: b}\n"


def test_apply_in_all_its_forms(commands, tmp_path):
    (tmp_path / "cm.yaml").write_text(MANIFEST)
    file = str(tmp_path / "cm.yaml")
    assert "created" in kubectl(commands, "apply", "-f", file).stdout
    assert "unchanged" in kubectl(commands, "apply", "-f", file).stdout
    assert '"a": "b"' in kubectl(commands, "apply", "view-last-applied", "cm", "applied", "-o", "json").stdout
    (tmp_path / "cm.yaml").write_text(MANIFEST.replace("a: b", "a: c"))
    diff = kubectl(commands, "diff", "-f", file)
    assert (diff.returncode, "+  a: c" in diff.stdout) == (1, True)
    assert "serverside-applied" in kubectl(commands, "apply", "--server-side", "-f", file).stdout
    assert "no changes required" in kubectl(commands, "apply", "set-last-applied", "-f", file).stdout
    other = kubectl(commands, "apply", "--server-side", "--field-manager=other", "-f", "-", input=MANIFEST)
    assert other.returncode == 1
    assert 'Apply failed with 1 conflict: conflict with "kubectl": .data.a' in other.stderr
    forced = kubectl(commands, "apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-", input=MANIFEST)
    assert "serverside-applied" in forced.stdout
    assert "replaced" in kubectl(commands, "replace", "-f", file).stdout
    assert "(server dry run)" in kubectl(commands, "apply", "--dry-run=server", "-f", file).stdout
    (tmp_path / "kustomization.yaml").write_text("resources: [cm.yaml]\nnamePrefix: k-\n")
    assert "name: k-applied" in kubectl(commands, "kustomize", str(tmp_path)).stdout
    assert "configmap/k-applied created" in kubectl(commands, "apply", "-k", str(tmp_path)).stdout
    assert "deleted" in kubectl(commands, "delete", "-k", str(tmp_path)).stdout


def test_auth_reconcile_makes_and_mends_roles(commands, tmp_path):
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reconciled, namespace: commands}\nrules:\n"
    rule = '- {apiGroups: [""], resources: [pods], verbs: [get]}\n'
    assert "reconciled" in kubectl(commands, "auth", "reconcile", "-f", "-", input=role + rule).stdout
    more = '- {apiGroups: [""], resources: [secrets], verbs: [list]}\n'
    kubectl(commands, "auth", "reconcile", "-f", "-", input=role + more)
    assert len(commands.get("role", "reconciled", "-n", SPACE)["rules"]) == 2


def test_certificates_are_approved_and_signed(commands, tmp_path):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    import base64
    import json

    encoded = base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()
    spec = {"request": encoded, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}
    tree = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "somebody"}, "spec": spec}
    kubectl(commands, "apply", "-f", "-", input=json.dumps(tree))
    assert "approved" in kubectl(commands, "certificate", "approve", "somebody").stdout
    signed = commands.until(lambda: commands.get("csr", "somebody").get("status", {}).get("certificate"))
    found = x509.load_pem_x509_certificate(base64.b64decode(signed))
    assert found.subject == subject
    assert "Approved,Issued" in kubectl(commands, "get", "csr").stdout
    kubectl(commands, "delete", "csr", "somebody")


def test_attach_shows_what_the_container_says_from_now_on(commands):
    script = "while true; do echo tick; sleep 0.2; done"
    kubectl(commands, "run", "ticking", "--image=host", "--restart=Never", "--", "sh", "-c", script)
    kubectl(commands, "wait", "pod/ticking", "--for=condition=Ready", "--timeout=60s")
    environment = {**os.environ, "KUBECONFIG": str(commands.kubeconfig)}
    attached = subprocess.Popen(["kubectl", "-n", SPACE, "attach", "ticking"], env=environment, stdout=subprocess.PIPE, text=True)
    assert attached.stdout.readline() == "tick\n"
    attached.terminate()
    attached.wait(10)
    attached.stdout.close()
    kubectl(commands, "delete", "pod", "ticking", "--grace-period=0", "--force")


def test_proxy_serves_the_api_on_a_port_and_on_a_socket(commands, tmp_path):
    import http.client
    import socket

    environment = {**os.environ, "KUBECONFIG": str(commands.kubeconfig)}
    proxy = subprocess.Popen(["kubectl", "proxy", "--port=0"], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r":(\d+)", proxy.stdout.readline())[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/api")
        assert b'"versions"' in connection.getresponse().read()
        connection.close()
    finally:
        proxy.terminate()
        proxy.wait(10)
        proxy.stdout.close()
    path = str(tmp_path / "socket")
    proxy = subprocess.Popen(["kubectl", "proxy", f"--unix-socket={path}"], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        proxy.stdout.readline()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(path)
            client.sendall(b"GET /api HTTP/1.0\r\nHost: localhost\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.0 200")
    finally:
        proxy.terminate()
        proxy.wait(10)
        proxy.stdout.close()
