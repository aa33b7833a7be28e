"""A claim gets a bucket of a real store over HTTP, an access a Secret that opens it, and both go again."""

import base64
import json
import os
import socket
import subprocess
import sys
import time

import pytest

from tests.conftest import Cluster
from tests.test_pods import create

boto3 = pytest.importorskip("boto3")
from botocore.exceptions import ClientError  # noqa: E402

pytestmark = [pytest.mark.timeout(240), pytest.mark.filterwarnings("ignore::DeprecationWarning")]
V1 = "objectstorage.k8s.io/v1alpha1"
EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


def client(service, endpoint, keys):
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=keys[0], aws_secret_access_key=keys[1])


@pytest.fixture
def store(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    free = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "3"}
    server = subprocess.Popen(command, env=free, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while subprocess.run(
        [sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"], capture_output=True, check=False
    ).returncode:
        assert time.monotonic() < deadline
    iam = client("iam", f"http://127.0.0.1:{port}", ("x", "y"))
    iam.create_user(UserName="administrator")
    iam.put_user_policy(UserName="administrator", PolicyName="all", PolicyDocument=EVERYTHING)
    key = iam.create_access_key(UserName="administrator")["AccessKey"]
    (tmp_path / "keys").write_text(f"{key['AccessKeyId']}\n{key['SecretAccessKey']}\n")
    yield f"http://127.0.0.1:{port}", tmp_path / "keys"
    server.terminate()
    server.wait(10)


@pytest.fixture
def cluster(tmp_path, store):
    fakes = ["runtimes: [{use: fake}]", "network: {use: fake}", "proxy: {use: fake}", "networkPolicy: null"]
    buckets = f"buckets: [{{use: s3, options: {{endpoint: '{store[0]}', credentials: {store[1]}}}}}]"
    plugins = "plugins: [{use: rbac}, {use: sched-policies}, {use: admission-builtin}, {use: cosi-kinds}]"
    text = "\n".join(
        ["kind: Cluster", "name: buckets", "server: {port: 0}", "node:", *(f"  {line}" for line in [*fakes, buckets]), plugins]
    )
    (tmp_path / "cluster.yaml").write_text(text)
    found = Cluster(tmp_path / "data")
    found.bareboat("up", "--config", str(tmp_path / "cluster.yaml"))
    yield found
    found.bareboat("down", "--purge", check=False)


def thing(kind, name, **fields):
    return {"apiVersion": V1, "kind": kind, "metadata": {"name": name}, **fields}


def test_a_bucket_and_the_way_into_it(cluster, store):
    cluster.until(lambda: cluster.kubectl("get", "bucketclaims", check=False).returncode == 0)
    driver = "s3.cosi.bareboat.io"
    create(cluster, thing("BucketClass", "s3", driverName=driver, deletionPolicy="Delete"))
    create(cluster, thing("BucketAccessClass", "s3", driverName=driver, authenticationType="KEY"))
    create(cluster, thing("BucketClaim", "photos", spec={"bucketClassName": "s3", "protocols": ["S3"]}))
    access = {"bucketClaimName": "photos", "bucketAccessClassName": "s3", "credentialsSecretName": "photos"}
    create(cluster, thing("BucketAccess", "app", spec=access))
    cluster.until(lambda: cluster.get("bucketaccess", "app").get("status", {}).get("accessGranted"))
    info = json.loads(base64.b64decode(cluster.get("secret", "photos")["data"]["BucketInfo"]))["spec"]
    keys = (info["secretS3"]["accessKeyID"], info["secretS3"]["accessSecretKey"])
    s3 = client("s3", info["secretS3"]["endpoint"], keys)
    s3.put_object(Bucket=info["bucketName"], Key="a", Body=b"picture")
    assert s3.get_object(Bucket=info["bucketName"], Key="a")["Body"].read() == b"picture"
    cluster.kubectl("delete", "bucketclaim", "photos", "--wait=false")
    time.sleep(3)
    assert cluster.get("bucketclaim", "photos")["status"]["bucketReady"]  # while somebody has access
    cluster.kubectl("delete", "bucketaccess", "app", "--timeout=30s")
    with pytest.raises(ClientError):
        s3.get_object(Bucket=info["bucketName"], Key="a")
    cluster.until(lambda: not cluster.get("bucketclaims")["items"] and not cluster.get("buckets.objectstorage.k8s.io")["items"])
    assert cluster.kubectl("get", "secret", "photos", check=False).returncode
    assert client("s3", store[0], store[1].read_text().split()).list_buckets()["Buckets"] == []


def test_what_the_driver_refuses_is_told(cluster):
    cluster.until(lambda: cluster.kubectl("get", "bucketclaims", check=False).returncode == 0)
    create(cluster, thing("BucketClass", "odd", driverName="s3.cosi.bareboat.io", deletionPolicy="Delete", parameters={"colour": "red"}))
    create(cluster, thing("BucketClaim", "odd", spec={"bucketClassName": "odd"}))
    cluster.until(lambda: any(e["reason"] == "InvalidConfig" and "colour" in e["message"] for e in cluster.get("events")["items"]))
