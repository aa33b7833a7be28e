"""A cluster of several machines, attacked: with false tokens, as a node, as a user who wants more, and at the door."""

import base64
import hashlib
import hmac
import json
import re
import ssl
import subprocess
import time

import pytest
import yaml
from cryptography import x509

from tests.conftest import BAREBOAT, run
from tests.site import RBAC, Site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    found = Site(tmp_path_factory.mktemp("site"))
    yield found
    for name in ("w1", "w2"):
        run(*BAREBOAT, "down", "--purge", "--data-dir", str(found.directory / name), check=False)
    found.bareboat("down", "--purge", check=False)


def part(tree):
    return base64.urlsafe_b64encode(json.dumps(tree).encode()).decode().rstrip("=")


def pod(name, node, **spec):
    spec = {"nodeName": node, "containers": [{"name": "c", "image": "x"}], **spec}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def secret(name):
    return {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name, "namespace": "default"}, "stringData": {"k": "v"}}


def test_a_joined_node_has_no_key_of_the_ca_and_runs_pods(site):
    assert {n["metadata"]["name"] for n in site.get("nodes")["items"]} == {"w1", "w2"}
    site.apply(pod("hello", "w1"))
    site.until(lambda: site.get("pod", "hello")["status"].get("phase") == "Running")
    assert "fake container" in site.kubectl("logs", "hello").stdout
    assert not list((site.directory / "w1").rglob("ca.key"))
    for path in [*(site.directory / "w1").rglob("*"), *site.data_dir.rglob("*")]:
        if path.is_file() and (path.suffix in (".key", ".kubeconfig") or path.name in ("kubeconfig", "cluster.yaml", "state.json")):
            assert path.stat().st_mode & 0o077 == 0, path


def test_false_tokens_are_nobody_and_not_anonymous(site):
    good = site.kubectl("create", "token", "default").stdout.strip()
    assert site.http("/version", good)[0] == 200
    head, body, signature = good.split(".")
    _, keys = site.http("/openid/v1/jwks", good)
    jwk = json.loads(keys)["keys"][0]
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from jwt.algorithms import ECAlgorithm

    public = ECAlgorithm.from_jwk(jwk).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    shared = part({"alg": "HS256", "kid": jwk["kid"], "typ": "JWT"})
    mac = base64.urlsafe_b64encode(hmac.new(public, f"{shared}.{body}".encode(), hashlib.sha256).digest()).decode().rstrip("=")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    masters = part({**claims, "sub": "system:serviceaccount:kube-system:default"})
    for token in (
        f"{part({'alg': 'none', 'kid': jwk['kid']})}.{body}.",
        f"{shared}.{body}.{mac}",
        f"{head}.{masters}.{signature}",
        f"{head}.{body}.{signature[:-6]}AAAAAA",
        "x",
        f"{good} {good}",
    ):
        status, said = site.http("/version", token)
        assert status == 401, token
        assert "Unauthorized" in said
    assert site.http("/version")[0] == 200, "nobody at all is anonymous"


def test_a_token_for_somebody_else(site):
    token = site.kubectl("create", "token", "default", "--audience", "vault").stdout.strip()
    assert site.http("/version", token)[0] == 401


def test_a_token_ends_with_what_it_is_bound_to(site):
    site.kubectl("create", "serviceaccount", "short")
    site.apply(pod("bound", "w1", serviceAccountName="short"))
    bound = site.kubectl("create", "token", "short", "--bound-object-kind", "Pod", "--bound-object-name", "bound").stdout.strip()
    free = site.kubectl("create", "token", "short").stdout.strip()
    assert [site.http("/version", token)[0] for token in (bound, free)] == [200, 200]
    site.kubectl("delete", "pod", "bound", "--force", "--grace-period=0")
    assert [site.http("/version", token)[0] for token in (bound, free)] == [401, 200]
    site.kubectl("delete", "serviceaccount", "short")
    assert site.http("/version", free)[0] == 401
    site.kubectl("create", "serviceaccount", "short")
    assert site.http("/version", free)[0] == 401


def test_a_token_of_a_pod_with_another_account(site):
    site.kubectl("create", "serviceaccount", "strong")
    site.apply(pod("weak", "w1"))
    done = site.kubectl("create", "token", "strong", "--bound-object-kind", "Pod", "--bound-object-name", "weak", check=False)
    assert "cannot bind token for serviceaccount" in done.stderr


def test_a_node_reads_only_what_belongs_to_it(site):
    site.apply(secret("s1"), secret("s2"))
    for number in ("1", "2"):
        site.apply(pod(f"with-s{number}", f"w{number}", volumes=[{"name": "v", "secret": {"secretName": f"s{number}"}}]))
    w1 = site.node("w1")
    assert w1("get", "secret", "s1").returncode == 0
    for words in (
        ("get", "secret", "s2"),
        ("get", "secrets", "-A"),
        ("get", "pods", "-A"),
        ("get", "pods", "-A", "--field-selector", "spec.nodeName=w2"),
        ("get", "pod", "with-s2"),
        ("delete", "pod", "with-s2"),
        ("label", "node", "w2", "a=b"),
        ("delete", "node", "w2"),
        ("delete", "node", "w1"),
        ("create", "token", "default"),
        ("create", "token", "strong", "--bound-object-kind", "Pod", "--bound-object-name", "with-s1"),
        ("get", "clusterroles"),
        ("get", "configmaps", "-n", "kube-system"),
        ("label", "node", "w1", "node-restriction.kubernetes.io/team=x"),
        ("taint", "node", "w1", "a=b:NoSchedule"),
        ("get", "lease", "w2", "-n", "kube-node-lease"),
    ):
        done = w1(*words)
        assert done.returncode != 0, words
        assert "orbidden" in done.stderr, (words, done.stderr)
    assert w1("get", "pods", "-A", "--field-selector", "spec.nodeName=w1").returncode == 0


def test_a_node_gets_no_certificate_of_another(site):
    w1 = site.node("w1")
    assert site.ask(w1, "as-w2", "kube-apiserver-client-kubelet", "system:node:w2", ["system:nodes"]).returncode == 0
    serving = ("digital signature", "server auth")
    assert site.ask(w1, "serve-w2", "kubelet-serving", "system:node:w1", ["system:nodes"], ["w2"], serving).returncode == 0
    assert (
        site.ask(w1, "serve-api", "kubelet-serving", "system:node:w1", ["system:nodes"], ["w1", "kubernetes.default"], serving).returncode
        == 0
    )
    assert site.ask(w1, "as-admin", "kube-apiserver-client", "admin", ["system:masters"]).returncode != 0
    assert site.ask(w1, "as-itself", "kube-apiserver-client-kubelet", "system:node:w1", ["system:nodes"]).returncode == 0
    site.until(lambda: site.decided("as-itself").get("certificate"))
    for name in ("as-w2", "serve-w2", "serve-api"):
        assert site.decided(name) == {}, name
    assert "orbidden" in w1("certificate", "approve", "as-w2").stderr


def test_a_user_does_not_approve_or_sign(site):
    site.may(
        "eve",
        {
            "verbs": ["*"],
            "apiGroups": ["certificates.k8s.io"],
            "resources": ["certificatesigningrequests", "certificatesigningrequests/approval"],
        },
    )

    def eve(*words, **options):
        return site.kubectl("--as", "eve", *words, **options)

    assert site.ask(eve, "eve-node", "kube-apiserver-client-kubelet", "system:node:w1", ["system:nodes"]).returncode == 0
    assert "not permitted to approve" in eve("certificate", "approve", "eve-node", check=False).stderr
    assert "system:masters group is not allowed" in site.ask(eve, "eve-root", "kube-apiserver-client", "eve", ["system:masters"]).stderr
    assert site.decided("eve-node") == {}


def test_nobody_gives_rights_that_they_do_not_have(site):
    site.may(
        "mallory",
        {
            "verbs": ["*"],
            "apiGroups": [RBAC],
            "resources": ["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
            "resourceNames": [],
        },
    )
    site.kubectl("delete", "clusterrole", "of-mallory")
    rules = [
        {
            "verbs": ["create", "get", "patch", "update", "list"],
            "apiGroups": [RBAC],
            "resources": ["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
        }
    ]
    site.apply({"kind": "ClusterRole", "apiVersion": f"{RBAC}/v1", "metadata": {"name": "of-mallory"}, "rules": rules})

    def mallory(*words, **options):
        return site.kubectl("--as", "mallory", *words, check=False, **options)

    for words in (
        ("create", "clusterrole", "all", "--verb=*", "--resource=*.*"),
        ("create", "role", "peek", "--verb=get", "--resource=secrets"),
        ("create", "clusterrolebinding", "root", "--clusterrole=cluster-admin", "--user=mallory"),
        ("create", "rolebinding", "root", "--clusterrole=admin", "--user=mallory"),
        (
            "patch",
            "clusterrole",
            "of-mallory",
            "--type=json",
            "-p",
            '[{"op":"add","path":"/rules/-","value":{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}}]',
        ),
        (
            "patch",
            "clusterrolebinding",
            "cluster-admin",
            "--type=json",
            "-p",
            '[{"op":"add","path":"/subjects/-","value":{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"mallory"}}]',
        ),
    ):
        done = mallory(*words)
        assert "attempting to grant RBAC permissions not currently held" in done.stderr, (words, done.stdout, done.stderr)
    part = {
        "kind": "ClusterRole",
        "apiVersion": f"{RBAC}/v1",
        "metadata": {"name": "part", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
    }
    done = mallory(
        "create", "-f", "-", input=yaml.safe_dump({**part, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]})
    )
    assert "not currently held" in done.stderr
    summed = {
        "kind": "ClusterRole",
        "apiVersion": f"{RBAC}/v1",
        "metadata": {"name": "sum"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"part": "one"}}]},
    }
    assert "must have cluster-admin privileges" in mallory("create", "-f", "-", input=yaml.safe_dump(summed)).stderr


def test_nobody_acts_as_another_without_the_right(site):
    site.kubectl("create", "serviceaccount", "actor")
    token = site.kubectl("create", "token", "actor").stdout.strip()
    for headers in (
        {"Impersonate-User": "kubernetes-admin"},
        {"Impersonate-User": "system:serviceaccount:default:actor", "Impersonate-Group": "system:masters"},
        {"Impersonate-User": "system:node:w1", "Impersonate-Group": "system:nodes"},
        {"Impersonate-User": "system:serviceaccount:kube-system:deployment-controller"},
    ):
        status, said = site.http("/api/v1/namespaces/default/secrets", token, headers)
        assert status == 403, headers
        assert "cannot impersonate" in said
    assert site.http("/api", token, {"Impersonate-Group": "system:masters"})[0] == 400
    assert site.http("/api/v1/secrets", "", {"Impersonate-User": "kubernetes-admin"})[0] == 403


def test_a_revoked_binding_acts_at_once(site):
    site.may("rob", {"verbs": ["list"], "apiGroups": [""], "resources": ["secrets"]})
    assert site.kubectl("--as", "rob", "get", "secrets", check=False).returncode == 0
    site.kubectl("delete", "clusterrolebinding", "of-rob")
    assert "orbidden" in site.kubectl("--as", "rob", "get", "secrets", check=False).stderr


def test_a_bootstrap_token_is_good_for_joining_only(site):
    for path in ("/api/v1/secrets", "/api/v1/pods", "/api/v1/nodes", "/api/v1/namespaces/kube-system/configmaps"):
        assert site.http(path, site.token)[0] == 403
    assert site.http("/apis/certificates.k8s.io/v1/certificatesigningrequests", site.token)[0] == 200
    with_other_secret = site.token[:-4] + ("aaaa" if not site.token.endswith("aaaa") else "bbbb")
    assert site.http("/apis/certificates.k8s.io/v1/certificatesigningrequests", with_other_secret)[0] == 401


def test_a_bootstrap_token_does_not_take_the_name_of_a_node_that_is_there(site):
    assert "has a node w1 that is Ready" in run(*BAREBOAT, "join", site.endpoint, "--token", site.token, "--ca-cert-hash", site.pin, "--node", "w1",
                                               "--data-dir", str(site.directory / "again"), check=False).stderr  # fmt: skip
    config = {"clusters": [{"name": "c", "cluster": {"server": f"https://{site.endpoint}", "certificate-authority": str(site.data_dir / "server/pki/ca.crt")}}],
              "users": [{"name": "u", "user": {"token": site.token}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "current-context": "c"}  # fmt: skip
    path = site.directory / "bootstrap.kubeconfig"
    path.write_text(yaml.safe_dump(config))

    def joiner(*words, **options):
        return site.kubectl("--kubeconfig", str(path), *words, **options)

    assert site.ask(joiner, "steal", "kube-apiserver-client-kubelet", "system:node:w1", ["system:nodes"]).returncode == 0
    assert site.ask(joiner, "fresh", "kube-apiserver-client-kubelet", "system:node:w9", ["system:nodes"]).returncode == 0
    site.until(lambda: site.decided("fresh").get("certificate"))
    assert site.decided("steal") == {}


def test_who_joins_believes_only_the_right_cluster(site):
    wrong_pin = site.join("x1", pin="sha256:" + "0" * 64, check=False)
    assert "this is not the cluster" in wrong_pin.stderr
    token_id = site.token.partition(".")[0]
    wrong_secret = site.join("x2", token=f"{token_id}.0000000000000000", check=False)
    assert "signature by the token" in wrong_secret.stderr
    unknown = site.join("x3", token="aaaaaa.0000000000000000", check=False)
    assert "does not know the token aaaaaa" in unknown.stderr
    assert "--ca-cert-hash is needed" in run(*BAREBOAT, "join", site.endpoint, "--token", site.token, check=False).stderr
    for done in (wrong_pin, wrong_secret, unknown):
        assert done.returncode == 1
        assert site.token not in done.stderr
        assert "0000000000000000" not in done.stderr.replace("0" * 64, "")


def test_a_deleted_or_expired_token_lets_nobody_in(site):
    token = site.bareboat("token", "create", "--ttl", "6s").stdout.strip()
    assert token.partition(".")[0] in site.bareboat("token", "list").stdout
    assert token.partition(".")[2] not in site.bareboat("token", "list").stdout
    time.sleep(6)
    assert site.http("/apis/certificates.k8s.io/v1/certificatesigningrequests", token)[0] == 401
    site.until(lambda: token.partition(".")[0] not in site.bareboat("token", "list").stdout)
    token = site.bareboat("token", "create").stdout.strip()
    site.bareboat("token", "delete", token.partition(".")[0])
    assert site.http("/apis/certificates.k8s.io/v1/certificatesigningrequests", token)[0] == 401
    assert "must begin with system:bootstrappers:" in site.bareboat("token", "create", "--group", "system:masters", check=False).stderr


def serial(site):
    host, _, port = site.endpoint.partition(":")
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode()).serial_number


def test_certificates_are_renewed_while_all_goes_on(site):
    before, pids = serial(site), json.loads((site.data_dir / "state.json").read_text())["server"]["pid"]
    rows = json.loads(site.bareboat("certs", "renew", "--output", "json").stdout)
    assert {row["state"] for row in rows} == {"valid"}
    site.until(lambda: serial(site) != before)
    assert json.loads((site.data_dir / "state.json").read_text())["server"]["pid"] == pids
    assert site.get("nodes")["items"]
    site.kubectl("logs", "hello")
    checked = json.loads(run(*BAREBOAT, "certs", "check", "--data-dir", str(site.directory / "w1"), "--output", "json").stdout)
    assert {row["name"] for row in checked} == {"w1/serving", "w1/kubeconfig"}
    assert (
        "only the server's machine can renew"
        in run(*BAREBOAT, "certs", "renew", "--data-dir", str(site.directory / "w1"), check=False).stderr
    )


def test_the_parts_of_the_control_plane_may_do_what_they_need(site):
    for name, allowed, denied in (("scheduler", "pods", "secrets"), ("controller-manager", "secrets", "clusterroles")):
        path = site.data_dir / "server" / f"{name}.kubeconfig"
        assert site.kubectl("--kubeconfig", str(path), "auth", "can-i", "list", allowed, check=False).stdout.strip() == "yes"
        assert site.kubectl("--kubeconfig", str(path), "auth", "can-i", "delete", denied, check=False).stdout.strip() == "no"


def test_no_log_holds_a_token(site):
    logs = "\n".join(path.read_text() for path in site.directory.rglob("logs/*.log"))
    assert "a credential was refused" in logs, "the log says what happened"
    assert not re.search(r"eyJ[A-Za-z0-9_-]{20,}", logs)
    assert site.token not in logs
    assert site.token.partition(".")[2] not in logs
    listing = subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert site.token not in listing
